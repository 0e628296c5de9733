# Read by deploy/run and deploy/demo: how an instance is made ready, started and stopped.
# Where it lives comes from ENV_FILE and VAR_DIRECTORY; both must be exported by the caller.
# shellcheck shell=bash

current_step="setting up"

# Says what is done, does it, and says how long it took. What it prints is kept and shown only when it fails.
step() {
    current_step="$1"
    shift
    local started=$SECONDS output="$VAR_DIRECTORY/step.log"
    printf '── %s … ' "$current_step"
    if "$@" >"$output" 2>&1; then
        printf 'done (%ss)\n' "$((SECONDS - started))"
    else
        local status=$?
        printf 'FAILED\n'
        tail -n 40 "$output" >&2
        return "$status"
    fi
}

quittance() { deploy/with-env .build/release/quittance "$@"; }

build_release() { swift build -c release --static-swift-stdlib; }

make_template() {
    # Read through with-env, so that the file and the environment are weighed as the programs weigh them.
    # shellcheck disable=SC2016
    deploy/with-env /bin/sh -c '.venv/bin/python deploy/docx/make_template.py "${PRIVATE_MEDIA_ROOT:-$VAR_DIRECTORY/private}/templates/kit_complet_template.docx"'
}

# The folder that the development file names as STORAGE_ROOT; a folder of the operator's own is never made here.
make_storage_root() {
    # shellcheck disable=SC2016
    deploy/with-env /bin/sh -c 'case "${STORAGE_ROOT:-}" in "$0"/*) mkdir -p "$STORAGE_ROOT" ;; esac' "$(realpath "$VAR_DIRECTORY")"
}

start_all() {
    instance_runs=yes
    deploy/supervise start
}

stop_all() {
    [[ "${instance_runs:-no}" == yes ]] || return 0
    instance_runs=no
    deploy/supervise stop
}

play() {
    current_step="playing an order"
    deploy/with-env .venv/bin/python deploy/play
}

make_ready() {
    step "Building the release binaries (the first time takes minutes)" build_release
    step "Migrating the database" quittance migrate
    step "Setting an example issuer of invoices, for sandbox" quittance issuer example
    step "Making the drafts' template" make_template
    step "Making the folder of measured storage" make_storage_root
    step "Starting everything the Procfile names" start_all
}
