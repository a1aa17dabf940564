#!/usr/bin/env bash
# submit --deploy-mode client: the real driver here, executors in pods, the Service between them.
# timeout: 900
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
unset KUBERNETES_SERVICE_HOST

# --- a Spark that only notes what it is told: what the driver gets, and what is removed
fake=$TEST_TMP/fake
mkdir -p "$fake/bin" "$fake/jars"
touch "$fake/jars/spark-core_2.13-4.1.4.jar"
cat >"$fake/bin/spark-submit" <<'S'
#!/usr/bin/env bash
printf '%s\n' "$@" >"$FAKE_OUT.args"
token=$(sed -n 's/^spark.kubernetes.authenticate.oauthTokenFile=//p' "$FAKE_OUT.args")
[ -z "$token" ] || stat -c %a "$token" >"$FAKE_OUT.mode"
kubectl get services,endpointslices -l firesteel.dev/driver-proxy -o json >"$FAKE_OUT.objects"
echo started >"$FAKE_OUT.started"
if [ "${FAKE_WAITS:-}" ]; then
        trap 'exit 42' INT TERM
        while :; do sleep 0.05; done
fi
exit "${FAKE_EXIT:-0}"
S
chmod +x "$fake/bin/spark-submit"
expect 0 "$f" local up -q
KUBECONFIG=$("$f" local kubeconfig)
export KUBECONFIG FAKE_OUT=$TEST_TMP/out
proxies() { kubectl get services,endpointslices -A -l firesteel.dev/driver-proxy -o name; }
no_proxies() { [ -z "$(proxies)" ]; }
no_private_files() { ! compgen -G "$TEST_TMP/tmp/firesteel-client-*" >/dev/null; }
mkdir "$TEST_TMP/tmp"
export TMPDIR=$TEST_TMP/tmp
unset XDG_RUNTIME_DIR

SPARK_HOME=$fake FAKE_EXIT=5 expect 5 "$f" submit --deploy-mode client --name n -c spark.x=y "$TEST_TMP/app.py" one 'two words'
told() { grep -qxF -- "$1" "$FAKE_OUT.args" || fail "the driver was not told $1: $(cat "$FAKE_OUT.args")"; }
told 'spark.x=y'
told 'two words'
told 'spark.kubernetes.container.image=apache/spark:4.1.4'
told 'spark.kubernetes.namespace=default'
told 'spark.driver.bindAddress=127.0.0.1'
grep -q '^spark.driver.host=firesteel-driver-.*\.default\.svc$' "$FAKE_OUT.args" || fail "no driver host: $(cat "$FAKE_OUT.args")"
[ "$(cat "$FAKE_OUT.mode")" = 600 ] || fail "the token's file can be read by others"
python3 - "$FAKE_OUT" <<'P' || fail "the Service does not lead to the ports that the driver was told"
import json, sys
out = sys.argv[1]
told = dict(line.split("=", 1) for line in open(out + ".args").read().splitlines() if line.startswith("spark.") and "=" in line)
ports = sorted(int(told[k]) for k in ("spark.driver.port", "spark.driver.blockManager.port", "spark.ui.port"))
items = {o["kind"]: o for o in json.load(open(out + ".objects"))["items"]}
service, endpoints = items["Service"], items["EndpointSlice"]
assert sorted(p["port"] for p in service["spec"]["ports"]) == ports
assert sorted(p["port"] for p in endpoints["ports"]) == ports
assert not service["spec"].get("selector")
assert endpoints["endpoints"][0]["addresses"] == ["127.0.0.1"]
assert endpoints["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"]
P
no_proxies || fail "left behind: $(proxies)"
no_private_files || fail "credentials were left behind"

# --- no proxy where the user knows better
SPARK_HOME=$fake expect 0 "$f" submit --deploy-mode client -c spark.driver.host=10.1.2.3 -q "$TEST_TMP/app.py"
[ "$(json items <"$FAKE_OUT.objects")" = '[]' ] || fail "a proxy was made: $(cat "$FAKE_OUT.objects")"
SPARK_HOME=$TEST_TMP/nothing expect 1 "$f" submit --deploy-mode client "$TEST_TMP/app.py"
says 'is no Spark installation'

# --- Ctrl-C
rm -f "$FAKE_OUT".*
SPARK_HOME=$fake FAKE_WAITS=1 "$f" submit --deploy-mode client "$TEST_TMP/app.py" >"$TEST_TMP/log" 2>&1 &
pid=$!
eventually 20 test -e "$FAKE_OUT.started"
if no_proxies; then fail "there is no proxy while the driver runs"; fi
expect 0 "$f" ls --orphans
says 'No driver proxy without its driver'
kill -TERM $pid
code=0
wait $pid || code=$?
[ $code = 42 ] || fail "exit code $code: $(cat "$TEST_TMP/log")"
no_proxies || fail "left behind by an interruption: $(proxies)"
no_private_files || fail "credentials were left behind by an interruption"

# --- two at once are given ports of their own, though neither listens yet
rm -f "$FAKE_OUT".*
for n in 1 2; do
        SPARK_HOME=$fake FAKE_WAITS=1 FAKE_OUT=$FAKE_OUT.$n "$f" submit --deploy-mode client "$TEST_TMP/app.py" >"$TEST_TMP/log.$n" 2>&1 &
        drivers[n]=$!
done
for n in 1 2; do eventually 20 test -e "$FAKE_OUT.$n.started"; done
[ "$(grep -hE '^spark.(driver.port|driver.blockManager.port|ui.port)=' "$FAKE_OUT".[12].args | sed 's/.*=//' | sort | uniq -d | wc -l)" = 0 ] ||
        fail "the same port for two: $(grep -h 'port=' "$FAKE_OUT".[12].args)"
kill -TERM "${drivers[@]}"
for n in 1 2; do wait "${drivers[n]}" || true; done
no_proxies || fail "left behind: $(proxies)"

# --- a crash leaves an orphan, which is found and removed
rm -f "$FAKE_OUT".*
SPARK_HOME=$fake FAKE_WAITS=1 "$f" submit --deploy-mode client "$TEST_TMP/app.py" >"$TEST_TMP/log" 2>&1 &
pid=$!
eventually 20 test -e "$FAKE_OUT.started"
driver=$(pgrep -P $pid)
kill -9 $pid
kill "$driver"
eventually 5 ended $pid
wait $pid || true
expect 0 "$f" ls --orphans
says 'default:firesteel-driver-'
expect 0 "$f" ls --orphans --delete
says deleted
no_proxies || fail "the orphan is still there"

# --- for a driver started by hand
expect 2 "$f" proxy --driver nb
expect 2 "$f" proxy
expect 0 "$f" proxy --driver nb --create --driver-port 7090
says 'spark.driver.host=nb.default.svc'
says 'spark.driver.port=7090'
[ "$(kubectl get endpointslice nb -o jsonpath='{.ports[0].port}')" = 7090 ] || fail "the slice has another port"
expect 1 "$f" proxy --driver nb --create
says 'already exists'
expect 0 "$f" ls --orphans --delete
expect 0 kubectl get service nb
expect 0 "$f" proxy --driver nb --delete
no_proxies || fail "left behind: $(proxies)"
expect 1 "$f" proxy --driver kubernetes --delete
says 'is no driver proxy'

# --- the real one
spark=
for home in "${SPARK_HOME_4_1:-}" "${SPARK_HOME:-}"; do
        if [ -x "$home/bin/spark-submit" ] && [ -d "$home/jars" ]; then spark=$home && break; fi
done
[ "$spark" ] || skip "the part with real executors was left out: no Spark here (SPARK_HOME_4_1)"
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
expect 0 "$f" local down
expect 0 "$f" local up -q --spark-home "$spark"
SPARK_HOME=$spark expect 0 timeout 700 "$f" submit --deploy-mode client -c spark.executor.instances=2 -c spark.executor.memory=512m \
        -c spark.kubernetes.driver.connectionTimeout=120000 -c spark.kubernetes.driver.requestTimeout=120000 \
        -c spark.kubernetes.executor.request.cores=100m -c spark.sql.shuffle.partitions=4 "$here/../apps/two_executors.py"
says 'EXECUTORS 2 TOTAL 999000 BIG 3000000 ROWS 10000'
no_proxies || fail "left behind: $(proxies)"
eventually 60 sh -c '[ -z "$(kubectl get pods -l spark-role=executor -o name)" ]'
