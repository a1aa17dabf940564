# What the shell tests of the cluster tier share, beside tests/integration/lib.sh: kubectl is the administrator of the real cluster.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../../integration/lib.sh"
need_kubectl
: "${CLUSTER_KUBECONFIG:?tools/run-tests gives it}"
export KUBECONFIG=$CLUSTER_KUBECONFIG
pki=$(dirname "$CLUSTER_KUBECONFIG")/pki
server=$(kubectl config view --raw -o 'jsonpath={.clusters[0].cluster.server}')
image=registry.invalid/spark:4.1.4

# own_namespace NAME: one that is this test's; its service account is there when this returns
namespaces=()
own_namespace() {
        kubectl create namespace "$1" >/dev/null
        namespaces+=("$1")
        eventually 30 kubectl -n "$1" get serviceaccount default
        eventually 30 kubectl -n "$1" get configmap kube-root-ca.crt
}
# The objects of a namespace that somebody made: all kinds that a submission has
left() { kubectl -n "$1" get pods,services,configmaps,secrets,persistentvolumeclaims -o name | grep -v '^configmap/kube-root-ca.crt$' || true; }
nothing_left() { [ -z "$(left "$1")" ] || fail "left behind in namespace $1: $(left "$1")"; }
# kubeconfig_of NAME CREDENTIALS: as the administrator's, with other credentials (JSON); prints the file
kubeconfig_of() {
        sed "s|^\"users\":.*|\"users\": [{\"name\": \"admin\", \"user\": {$2}}],|" "$CLUSTER_KUBECONFIG" >"$TEST_TMP/$1.kubeconfig"
        echo "$TEST_TMP/$1.kubeconfig"
}
submit() { # WANTED_CODE NAMESPACE OPTIONS...
        local wanted=$1 namespace=$2
        shift 2
        expect "$wanted" "$FIRESTEEL" submit -n "$namespace" -c spark.kubernetes.container.image=$image --no-wait --name pi "$@" local:///opt/spark/pi.py
}

# used ACCOUNT: "verb resource" of all that a service account (NAMESPACE:NAME) asked the API server for, by its audit log; refused ones with "REFUSED"
used() {
        python3 - "$(dirname "$CLUSTER_KUBECONFIG")/audit.log" "system:serviceaccount:$1" <<'P'
import json, sys
seen = set()
for line in open(sys.argv[1]):
    if not line.endswith("\n"):
        break  # the server writes it just now: it is another's
    e = json.loads(line)
    o = e.get("objectRef") or {}
    if e["user"].get("username") != sys.argv[2] or not o.get("resource"):
        continue
    name = o["resource"] + ("/" + o["subresource"] if o.get("subresource") else "")
    refused = e.get("annotations", {}).get("authorization.k8s.io/decision") != "allow" or (e.get("responseStatus") or {}).get("code") == 403
    seen.add(("REFUSED " if refused else "") + e["verb"] + " " + name)
print("\n".join(sorted(seen)))
P
}

# no_refusals ACCOUNT: it asked for something, and for nothing that it may not
no_refusals() {
        local all
        all=$(used "$1")
        [ "$all" ] || fail "the audit log knows nothing of $1"
        ! grep REFUSED <<<"$all" || fail "$1 lacks rights"
}

remove_namespaces() {
        local status=$?
        set +e
        [ ${#namespaces[@]} -eq 0 ] || kubectl delete namespace "${namespaces[@]}" --wait=false >/dev/null 2>&1 || true
        (exit $status)
        clean_up
}
trap remove_namespaces EXIT
