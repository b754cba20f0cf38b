package update_test

// everyPair is the machine as people read it: phase, event and what follows,
// the next phase with its effects in order. "=" is that nothing happens.
const everyPair = `
IDLE         boot       =
IDLE         connected  IDLE: versions ask
IDLE         offered    METADATA: persist resolve
IDLE         hinted     ACCEPTED: persist start
IDLE         described  =
IDLE         accepted   =
IDLE         mismatch   =
IDLE         gone       =
IDLE         done       =
IDLE         refused    =
IDLE         failed     =
IDLE         unsaved    IDLE: versions ask
ACCEPTED     boot       =
ACCEPTED     connected  ACCEPTED: versions ask
ACCEPTED     offered    METADATA: persist resolve
ACCEPTED     hinted     =
ACCEPTED     described  =
ACCEPTED     accepted   ACCEPTED:
ACCEPTED     mismatch   ACCEPTED: describe
ACCEPTED     gone       IDLE: stop persist versions ask
ACCEPTED     done       =
ACCEPTED     refused    =
ACCEPTED     failed     =
ACCEPTED     unsaved    REPORTING: persist report(FAILED)
METADATA     boot       METADATA: persist resolve
METADATA     connected  METADATA: versions ask
METADATA     offered    =
METADATA     hinted     =
METADATA     described  =
METADATA     accepted   METADATA:
METADATA     mismatch   METADATA: describe
METADATA     gone       IDLE: stop persist versions ask
METADATA     done       DOWNLOADING: persist report(IN_PROGRESS) download
METADATA     refused    REPORTING: persist report(REJECTED)
METADATA     failed     REPORTING: persist report(FAILED)
METADATA     unsaved    REPORTING: persist report(FAILED)
DOWNLOADING  boot       DOWNLOADING: persist report(IN_PROGRESS) download
DOWNLOADING  connected  DOWNLOADING: versions ask
DOWNLOADING  offered    =
DOWNLOADING  hinted     =
DOWNLOADING  described  =
DOWNLOADING  accepted   DOWNLOADING:
DOWNLOADING  mismatch   DOWNLOADING: describe
DOWNLOADING  gone       ROLLED_BACK: stop persist clean
DOWNLOADING  done       STAGED: persist verify
DOWNLOADING  refused    ROLLED_BACK: persist clean
DOWNLOADING  failed     ROLLED_BACK: persist clean
DOWNLOADING  unsaved    ROLLED_BACK: persist clean
STAGED       boot       STAGED: persist verify
STAGED       connected  STAGED: versions ask
STAGED       offered    =
STAGED       hinted     =
STAGED       described  =
STAGED       accepted   STAGED:
STAGED       mismatch   STAGED: describe
STAGED       gone       ROLLED_BACK: stop persist clean
STAGED       done       INSTALLING: persist report(IN_PROGRESS) install
STAGED       refused    ROLLED_BACK: persist clean
STAGED       failed     ROLLED_BACK: persist clean
STAGED       unsaved    ROLLED_BACK: persist clean
INSTALLING   boot       ROLLING_BACK: persist rollback
INSTALLING   connected  INSTALLING: versions ask
INSTALLING   offered    =
INSTALLING   hinted     =
INSTALLING   described  =
INSTALLING   accepted   INSTALLING:
INSTALLING   mismatch   INSTALLING: describe
INSTALLING   gone       ROLLING_BACK: stop persist rollback
INSTALLING   done       SWITCHING: persist switch
INSTALLING   refused    ROLLING_BACK: persist rollback
INSTALLING   failed     ROLLING_BACK: persist rollback
INSTALLING   unsaved    ROLLING_BACK: persist rollback
SWITCHING    boot       ROLLING_BACK: persist rollback
SWITCHING    connected  =
SWITCHING    offered    =
SWITCHING    hinted     =
SWITCHING    described  =
SWITCHING    accepted   SWITCHING:
SWITCHING    mismatch   SWITCHING: describe
SWITCHING    gone       SWITCHING:
SWITCHING    done       TRIAL: persist report(IN_PROGRESS) check
SWITCHING    refused    ROLLING_BACK: persist rollback
SWITCHING    failed     ROLLING_BACK: persist rollback
SWITCHING    unsaved    ROLLING_BACK: persist rollback
TRIAL        boot       TRIAL: persist report(IN_PROGRESS) check
TRIAL        connected  TRIAL: report(IN_PROGRESS)
TRIAL        offered    =
TRIAL        hinted     =
TRIAL        described  =
TRIAL        accepted   TRIAL:
TRIAL        mismatch   TRIAL: describe
TRIAL        gone       ROLLING_BACK: stop persist rollback
TRIAL        done       COMMITTING: persist commit
TRIAL        refused    ROLLING_BACK: persist rollback
TRIAL        failed     ROLLING_BACK: persist rollback
TRIAL        unsaved    ROLLING_BACK: persist rollback
COMMITTING   boot       COMMITTING: commit
COMMITTING   connected  =
COMMITTING   offered    =
COMMITTING   hinted     =
COMMITTING   described  =
COMMITTING   accepted   COMMITTING:
COMMITTING   mismatch   COMMITTING: describe
COMMITTING   gone       =
COMMITTING   done       REPORTING: persist report(SUCCEEDED)
COMMITTING   refused    =
COMMITTING   failed     COMMITTING: commit
COMMITTING   unsaved    TRIAL: check
REPORTING    boot       REPORTING:
REPORTING    connected  REPORTING: report(SUCCEEDED)
REPORTING    offered    =
REPORTING    hinted     =
REPORTING    described  REPORTING: report(SUCCEEDED)
REPORTING    accepted   IDLE: persist versions ask
REPORTING    mismatch   REPORTING: describe
REPORTING    gone       IDLE: persist versions ask
REPORTING    done       =
REPORTING    refused    =
REPORTING    failed     =
REPORTING    unsaved    REPORTING: report(SUCCEEDED)
ROLLING_BACK boot       ROLLING_BACK: persist rollback
ROLLING_BACK connected  =
ROLLING_BACK offered    =
ROLLING_BACK hinted     =
ROLLING_BACK described  =
ROLLING_BACK accepted   ROLLING_BACK:
ROLLING_BACK mismatch   ROLLING_BACK: describe
ROLLING_BACK gone       =
ROLLING_BACK done       ROLLED_BACK: persist clean
ROLLING_BACK refused    ROLLING_BACK: persist rollback
ROLLING_BACK failed     ROLLING_BACK: persist rollback
ROLLING_BACK unsaved    ROLLING_BACK: rollback
ROLLED_BACK  boot       ROLLED_BACK: persist clean
ROLLED_BACK  connected  =
ROLLED_BACK  offered    =
ROLLED_BACK  hinted     =
ROLLED_BACK  described  =
ROLLED_BACK  accepted   ROLLED_BACK:
ROLLED_BACK  mismatch   ROLLED_BACK: describe
ROLLED_BACK  gone       =
ROLLED_BACK  done       REPORTING: persist report(FAILED)
ROLLED_BACK  refused    REPORTING: persist report(FAILED)
ROLLED_BACK  failed     REPORTING: persist report(FAILED)
ROLLED_BACK  unsaved    ROLLED_BACK: clean
UNREADABLE   boot       ROLLING_BACK: persist rollback
UNREADABLE   connected  =
UNREADABLE   offered    =
UNREADABLE   hinted     =
UNREADABLE   described  =
UNREADABLE   accepted   =
UNREADABLE   mismatch   =
UNREADABLE   gone       =
UNREADABLE   done       =
UNREADABLE   refused    =
UNREADABLE   failed     =
UNREADABLE   unsaved    =
`
