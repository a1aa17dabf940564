#!/usr/bin/env bash
# Jobs that say themselves what a failure is and when enough has succeeded, with pods that run. What the server answers is compared with a real one in
# tests/conformance/areas/jobs.py; here real exit codes, evictions and ends of pods come in.
# timeout: 400
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
is() { [ "$1" = "$2" ] || fail "it is '$1' instead of '$2'"; }

# An indexed Job of three: job NAME SCRIPT < the rest of its spec
job() {
        {
                printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec:\n' "$1"
                cat
                cat <<Y
  completionMode: Indexed
  completions: 3
  parallelism: 3
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: busybox, command: [sh, -c, '$2']}]
Y
        } | k apply -f - >/dev/null
}
ends() { expect 0 k wait --for="condition=$2" "job/$1" --timeout=180s; }
status() { k get job "$1" -o jsonpath="{.status.$2}"; }
verdict() { status "$1" "conditions[?(@.type==\"$2\")].reason"; }
middle='case $JOB_COMPLETION_INDEX in 1)'

# --- an exit code ends the Job and its other pods, which still run
job code "$middle exit 42;; *) exec sleep 600;; esac" <<'Y'
  podFailurePolicy:
    rules:
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}
    - {action: FailJob, onExitCodes: {containerName: main, operator: In, values: [42]}}
Y
ends code Failed
is "$(verdict code FailureTarget) $(verdict code Failed)" 'PodFailurePolicy PodFailurePolicy'
out=$(status code 'conditions[?(@.type=="Failed")].message')
says 'failed with exit code 42 matching FailJob rule at index 1'
is "$(k get pods -l job-name=code --field-selector=status.phase=Running -o name)" ''

# --- the leader's success is enough
job leader "$middle exit 0;; *) exec sleep 600;; esac" <<'Y'
  successPolicy: {rules: [{succeededIndexes: "1"}]}
Y
ends leader Complete
is "$(verdict leader Complete) $(status leader completedIndexes) $(status leader succeeded) $(status leader failed)" 'SuccessPolicy 1 1 '
is "$(k get pods -l job-name=leader --field-selector=status.phase=Running -o name)" ''

# --- an index fails alone
job alone "$middle exit 1;; *) exit 0;; esac" <<'Y'
  backoffLimitPerIndex: 0
Y
ends alone Failed
is "$(verdict alone Failed) $(status alone failedIndexes) $(status alone completedIndexes) $(status alone failed)" 'FailedIndexes 1 0,2 1'

# --- a pod that is evicted is made again and does not count
job moved 'exec sleep 600' <<'Y'
  backoffLimit: 0
  podFailurePolicy:
    rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]
Y
first=batch.kubernetes.io/job-completion-index=0
running() { k get pods -l "job-name=moved,$first" --field-selector=status.phase=Running -o jsonpath='{.items[*].metadata.name}'; }
another() { local now; now=$(running) && [ -n "$now" ] && [ "$now" != "$1" ]; }
eventually 60 another ''
old=$(running)
printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s"}}' "$old" >"$TEST_TMP/eviction"
expect 0 k create --raw "/api/v1/namespaces/default/pods/$old/eviction" -f "$TEST_TMP/eviction"
eventually 60 another "$old"
is "$(status moved failed)$(verdict moved Failed)" ''
expect 0 k delete job code leader alone moved
expect 0 "$f" local down
