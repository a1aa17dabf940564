# What control-plane and node share: keys, kubeconfigs, daemons. Sourced by both after `here` is set.
# shellcheck shell=bash
. "$here/versions"
bin=$(kubernetes_dir)/bin
pids=$dir/pids
pki=$dir/pki
services=10.96.0.0/16
# The command that goes before each daemon; the node's script enters its namespaces with it.
enter=()

say() { echo "$(basename "$0"): $*" >&2; }

need_programs() { # PROGRAM...
        local program
        for program; do
                [ -x "$bin/$program" ] || {
                        say "no $program in $bin; tests/cluster/build makes it"
                        exit 77
                }
        done
}

# ---------------------------------------------------------------- keys

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$1.key"; }
authority() {
        key "$1"
        openssl req -x509 -new -key "$pki/$1.key" -subj "/CN=$1" -days 30 -out "$pki/$1.crt" \
                -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
# certificate NAME SUBJECT USAGE SUBJECT_ALTERNATIVE_NAMES AUTHORITY
certificate() {
        key "$1"
        {
                echo "keyUsage=critical,digitalSignature,keyEncipherment"
                echo "extendedKeyUsage=$3"
                [ -z "$4" ] || echo "subjectAltName=$4"
        } >"$pki/$1.ext"
        openssl req -new -key "$pki/$1.key" -subj "$2" 2>/dev/null |
                openssl x509 -req -CA "$pki/$5.crt" -CAkey "$pki/$5.key" -CAcreateserial -days 30 -extfile "$pki/$1.ext" -out "$pki/$1.crt" 2>/dev/null
}
# kubeconfig NAME CERTIFICATE SERVER: JSON, which is YAML too, a line a member
kubeconfig() {
        cat >"$dir/$1.kubeconfig" <<EOF
{"apiVersion": "v1", "kind": "Config", "current-context": "real",
"clusters": [{"name": "real", "cluster": {"server": "$3", "certificate-authority-data": "$(base64 -w0 "$pki/ca.crt")"}}],
"users": [{"name": "$1", "user": {"client-certificate-data": "$(base64 -w0 "$pki/$2.crt")", "client-key-data": "$(base64 -w0 "$pki/$2.key")"}}],
"contexts": [{"name": "real", "context": {"cluster": "real", "user": "$1"}}]}
EOF
}

# make_pki MORE_NAMES: of the API server, as openssl writes them (",IP:1.2.3.4")
make_pki() {
        mkdir -p "$pki"
        authority ca
        authority front-proxy-ca
        certificate apiserver "/CN=kube-apiserver" serverAuth \
                "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1$1" ca
        certificate front-proxy-client "/CN=front-proxy-client" clientAuth "" front-proxy-ca
        certificate admin "/O=system:masters/CN=admin" clientAuth "" ca
        certificate controller-manager "/CN=system:kube-controller-manager" clientAuth "" ca
        certificate scheduler "/CN=system:kube-scheduler" clientAuth "" ca
        openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
        openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
}

# ---------------------------------------------------------------- daemons

# start NAME PROGRAM ARGUMENTS...
start() {
        local name=$1
        shift
        setsid "${enter[@]}" "$@" </dev/null >"$dir/$name.log" 2>&1 &
        echo $! >"$pids/$name"
}

# A zombie that its parent has not waited for yet does not run.
runs() { [ -d "/proc/$1" ] && ! grep -q '^State:\s*Z' "/proc/$1/status" 2>/dev/null; }

# wait_for WHAT SECONDS COMMAND...: asks again until it succeeds or what it waits for has died
wait_for() {
        local what=$1 seconds=$2 pid
        shift 2
        local end=$((SECONDS + seconds))
        until "$@" >/dev/null 2>&1; do
                for pid in "$pids"/*; do
                        runs "$(cat "$pid")" || {
                                say "$(basename "$pid") ended; its last lines:"
                                tail -5 "$dir/$(basename "$pid").log" >&2
                                return 1
                        }
                done
                [ $SECONDS -lt $end ] || {
                        say "$what not ready after ${seconds}s"
                        return 1
                }
                sleep 0.05
        done
}

# end NAME...: each is told to end and waited for, at most five seconds
end() {
        local name pid
        for name; do
                [ -f "$pids/$name" ] || continue
                pid=$(cat "$pids/$name")
                kill "$pid" 2>/dev/null || true
                for _ in $(seq 100); do
                        runs "$pid" || break
                        sleep 0.05
                done
                kill -9 "$pid" 2>/dev/null || true
                rm -f "$pids/$name"
        done
}

# start_control_plane PORT BIND_ADDRESS ADVERTISED_ADDRESS: the ports PORT+1 to PORT+4 are used too. State is synced to disk as in production. Every
# request is noted in audit.log when AUDIT is set. ETCD_EXTRA and APISERVER_EXTRA add options.
start_control_plane() {
        local port=$1 etcd=http://127.0.0.1:$(($1 + 1)) peer=http://127.0.0.1:$(($1 + 2)) audit=()
        kubeconfig controller-manager controller-manager "https://127.0.0.1:$port"
        kubeconfig scheduler scheduler "https://127.0.0.1:$port"
        if [ "${AUDIT:-}" ]; then
                printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' >"$dir/audit.yaml"
                audit=(--audit-policy-file="$dir/audit.yaml" --audit-log-path="$dir/audit.log")
        fi
        # shellcheck disable=SC2086
        start etcd "$bin/etcd" --name e --data-dir "$dir/etcd" --log-level warn --listen-client-urls $etcd --advertise-client-urls $etcd \
                --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster e=$peer ${ETCD_EXTRA:-}
        # shellcheck disable=SC2086
        start apiserver "$bin/kube-apiserver" --etcd-servers=$etcd --bind-address="$2" --secure-port=$port --advertise-address="$3" \
                --allow-privileged=true --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --anonymous-auth=true \
                --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
                --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$pki/sa.pub" \
                --service-account-signing-key-file="$pki/sa.key" --requestheader-client-ca-file="$pki/front-proxy-ca.crt" \
                --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
                --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
                --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
                --service-cluster-ip-range=$services "${audit[@]}" ${APISERVER_EXTRA:-}
        ask=("${enter[@]}" curl -sf --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" "https://127.0.0.1:$port")
        wait_for "the API server" 120 asked /readyz
        start controller-manager "$bin/kube-controller-manager" --kubeconfig="$dir/controller-manager.kubeconfig" --bind-address=127.0.0.1 \
                --secure-port=$((port + 3)) --leader-elect=false --use-service-account-credentials=true \
                --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" \
                --cluster-signing-key-file="$pki/ca.key" --cluster-cidr=10.244.0.0/16 --allocate-node-cidrs=false
        start scheduler "$bin/kube-scheduler" --kubeconfig="$dir/scheduler.kubeconfig" --bind-address=127.0.0.1 --secure-port=$((port + 4)) \
                --leader-elect=false
        wait_for "the default service account" 60 asked /api/v1/namespaces/default/serviceaccounts/default
}
# asked PATH: what the API server answers the administrator
asked() { "${ask[@]:0:${#ask[@]}-1}" "${ask[-1]}$1"; }
