package update

// Phase is where an update stands; values are the names in the journal and in
// statusDetails.
type Phase string

const (
	// Idle waits for a job. It is also the phase of the zero State.
	Idle Phase = "IDLE"
	// Chosen has an execution offered and not yet started.
	Chosen Phase = "ACCEPTED"
	// Metadata looks the target up in the signed repository.
	Metadata Phase = "METADATA"
	// Downloading fetches the target.
	Downloading Phase = "DOWNLOADING"
	// Staged has the target on disk and hashes it again.
	Staged Phase = "STAGED"
	// Installing unpacks the target beside the running version.
	Installing Phase = "INSTALLING"
	// Switching makes the new version the running one.
	Switching Phase = "SWITCHING"
	// Trial runs the new version and checks its health.
	Trial Phase = "TRIAL"
	// Committing is past the point of no return: the new version stays.
	Committing Phase = "COMMITTING"
	// Reporting tells the outcome until the fleet side has taken it.
	Reporting Phase = "REPORTING"
	// RollingBack makes the committed version run again.
	RollingBack Phase = "ROLLING_BACK"
	// RolledBack runs the committed version and removes the rest of the update.
	RolledBack Phase = "ROLLED_BACK"
	// Unreadable is the phase of a journal that could not be read. It is never written.
	Unreadable Phase = "UNREADABLE"
)

// row is what the machine knows about a phase.
type row struct {
	phase Phase
	// work is begun once the phase is written.
	work EffectKind
	// done, refused and failed are where the ends of the work lead; empty:
	// that end is ignored here.
	done, refused, failed Phase
	// canceled is where the end of the execution on the fleet side leads;
	// empty: it is too late. wait lets the running work end first.
	canceled Phase
	wait     bool
	// unsaved is where failing to write this phase leads; empty: go on from
	// memory, since going on is safer than stopping.
	unsaved Phase
	// resume is where a start leads that finds this phase in the journal.
	resume Phase
	// interrupted is why resume is not the phase itself.
	interrupted string
	// progress reports the phase when it begins.
	progress bool
	// versions lets the versions be reported at connect: what is committed
	// is what runs.
	versions bool
}

// table is the machine. What a crash leads to, from the journaled phase, is
// its resume column. Phases of updates that reboot (REBOOTING and those of
// update modules) are further rows between SWITCHING and TRIAL.
var table = []row{
	{phase: Idle, resume: Idle, versions: true},
	{phase: Chosen, work: Start, canceled: Idle, unsaved: Reporting, resume: Chosen, versions: true},
	{
		phase: Metadata, work: Resolve, done: Downloading, refused: Reporting, failed: Reporting,
		canceled: Idle, unsaved: Reporting, resume: Metadata, versions: true,
	},
	{
		phase: Downloading, work: Download, done: Staged, refused: RolledBack, failed: RolledBack,
		canceled: RolledBack, unsaved: RolledBack, resume: Downloading, progress: true, versions: true,
	},
	{
		phase: Staged, work: Verify, done: Installing, refused: RolledBack, failed: RolledBack,
		canceled: RolledBack, unsaved: RolledBack, resume: Staged, versions: true,
	},
	{
		phase: Installing, work: Install, done: Switching, refused: RollingBack, failed: RollingBack,
		canceled: RollingBack, unsaved: RollingBack, resume: RollingBack,
		interrupted: "the agent stopped while installing", progress: true, versions: true,
	},
	{
		phase: Switching, work: Switch, done: Trial, refused: RollingBack, failed: RollingBack,
		canceled: RollingBack, wait: true, unsaved: RollingBack, resume: RollingBack,
		interrupted: "the agent stopped while switching",
	},
	{
		phase: Trial, work: Check, done: Committing, refused: RollingBack, failed: RollingBack,
		canceled: RollingBack, unsaved: RollingBack, resume: Trial, progress: true,
	},
	{phase: Committing, work: Commit, done: Reporting, failed: Committing, unsaved: Trial, resume: Committing},
	{phase: Reporting, resume: Reporting},
	{phase: RollingBack, work: Rollback, done: RolledBack, refused: RollingBack, failed: RollingBack, resume: RollingBack},
	{phase: RolledBack, work: Clean, done: Reporting, refused: Reporting, failed: Reporting, resume: RolledBack},
	{phase: Unreadable, resume: RollingBack, interrupted: "the agent's state could not be read"},
}

// Phases lists every phase, in the order of an update.
func Phases() []Phase {
	list := make([]Phase, 0, len(table))
	for _, r := range table {
		list = append(list, r.phase)
	}
	return list
}

// rowOf returns what is known about a phase. A phase that is not in the table
// was written by another version of the agent and counts as unreadable.
func rowOf(p Phase) row {
	if p == "" {
		p = Idle
	}
	for _, r := range table {
		if r.phase == p {
			return r
		}
	}
	return table[len(table)-1]
}

// Resume returns the phase that a start leads to when the journal holds p.
func Resume(p Phase) Phase { return rowOf(p).resume }

// ReportsVersions reports whether a device in the state may tell what it
// runs: from the switch to the last report it may not (rule 22).
func ReportsVersions(s State) bool { return rowOf(s.Phase).versions }
