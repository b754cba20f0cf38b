# Shared by the scripts beside it: the Go environment, timed steps and the list
# of concurrent packages. Sourced, never run.

# Read no terminal, use exactly the modules and the toolchain that are there.
# The commit is not stamped into test binaries: a clone owned by another user
# would fail to build.
exec </dev/null
export GOTOOLCHAIN=local
export GOFLAGS="-mod=readonly -buildvcs=false"
if ! command -v go >/dev/null && [[ -x /usr/local/go/bin/go ]]; then
	export PATH="$PATH:/usr/local/go/bin"
fi

# concurrent_packages are the packages that start goroutines or are called from
# many: they run under the race detector as well.
concurrent_packages=(
	server
	server/engine
	server/index
	server/broker
	server/dispatch
	server/store/...
	agent/...
	simulator/...
	internal/testbed
)

# has_go_tests DIR reports whether DIR, or with /... anything below it, holds
# Go test files.
has_go_tests() {
	case $1 in
	*/...) [[ -d ${1%/...} && -n $(find "${1%/...}" -name '*_test.go' -not -path '*/testdata/*' -print -quit) ]] ;;
	*) [[ -d $1 && -n $(find "$1" -maxdepth 1 -name '*_test.go' -print -quit) ]] ;;
	esac
}

# race_packages prints the concurrent packages that exist, as ./paths; what it
# leaves out it names on standard error with the reason.
race_packages() {
	local package
	for package in "${concurrent_packages[@]}"; do
		if has_go_tests "$package"; then
			echo "./$package"
		elif [[ -d ${package%/...} ]]; then
			echo "race: $package skipped: it has no tests" >&2
		else
			echo "race: $package skipped: it does not exist" >&2
		fi
	done
}

# packages_with PATTERN prints the packages whose tests have a line that matches
# the pattern (grep -E), as ./paths.
packages_with() {
	grep -rlE --include='*_test.go' --exclude-dir=testdata --exclude-dir=.git -- "$1" . | xargs -r -n 1 dirname | sort -u
}

# go_test ARGS... runs go test -json ARGS and shows failures, skips with their
# reasons, one line per package and the counts.
go_test() {
	go test -json "$@" | "$testview"
}

# build_testview compiles the viewer of test output once for all steps.
build_testview() {
	testview="$scratch/testview"
	go build -o "$testview" ./scripts/testview
}

# step NAME COMMAND... runs the command, prints how long it took, and ends the
# script with the name of the step when it fails. The command must not count on
# set -e: bash switches it off inside a condition.
step_lines=()
step() {
	local name=$1 begin=$SECONDS status=0
	shift
	printf '\n== %s\n' "$name"
	"$@" || status=$?
	local took=$((SECONDS - begin))
	if ((status != 0)); then
		step_lines+=("$(printf 'FAILED  %4d s  %s' "$took" "$name")")
		summary
		printf '\nFAILED: %s (exit status %d)\n' "$name" "$status"
		exit 1
	fi
	step_lines+=("$(printf 'ok      %4d s  %s' "$took" "$name")")
	printf -- '-- %s: %d s\n' "$name" "$took"
}

# summary prints one line per step and the total.
summary() {
	printf '\n== summary\n'
	printf '%s\n' "${step_lines[@]}"
	printf 'total   %4d s\n' "$SECONDS"
}

# A scratch folder for what the steps build; it goes away with the script.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
