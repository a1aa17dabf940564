#!/usr/bin/env bash
# What a real API server refuses is told with its reason and a remedy, ends with exit code 1, and leaves nothing behind: Pod Security, quotas, limits,
# credentials, rights, missing things.
# timeout: 300
. "$(dirname "$0")/lib.sh"
n=refusals-$RANDOM

# --- Pod Security: refused as Spark makes its pods, accepted with the template that the remedy names
own_namespace $n-restricted
kubectl label namespace $n-restricted pod-security.kubernetes.io/enforce=restricted >/dev/null
eventually 30 sh -c "! kubectl -n $n-restricted run probe --image=$image --dry-run=server" # admission learns of it by a watch
submit 1 $n-restricted
says 'violates PodSecurity "restricted:latest"'
says 'spark.kubernetes.driver.podTemplateFile'
nothing_left $n-restricted
cat >"$TEST_TMP/template.yaml" <<'Y'
apiVersion: v1
kind: Pod
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 185, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: spark-kubernetes-driver
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
Y
submit 0 $n-restricted -c spark.kubernetes.driver.podTemplateFile="$TEST_TMP/template.yaml"
[ "$(kubectl -n $n-restricted get pods -l spark-role=driver -o name | wc -l)" = 1 ] || fail "no driver in the restricted namespace"
expect 0 "$FIRESTEEL" kill -n $n-restricted pi
eventually 30 sh -c "[ -z \"\$(kubectl -n $n-restricted get pods,services -o name)\" ]"

# --- quotas: of memory, of pods, of what goes before the pod; one that wants limits
own_namespace $n-quota
quota() { # HARD PROBE...: until what the probe asks for is refused by it, and no more by the one before: admission learns of both by a watch
        kubectl -n $n-quota delete resourcequota --all >/dev/null
        kubectl -n $n-quota create quota q --hard="$1" >/dev/null
        eventually 30 sh -c "kubectl -n $n-quota get quota q -o 'jsonpath={.status.hard}' | grep ."
        eventually 30 sh -c "kubectl -n $n-quota ${*:2} --dry-run=server 2>&1 | grep '${1%=*}[= ]'"
}
a_pod="run probe --image=$image" a_service='create service clusterip probe --tcp=1'
quota limits.memory=1Gi "$a_pod"
submit 1 $n-quota
says 'exceeded quota: q, requested: limits.memory=1433Mi, used: limits.memory=0, limited: limits.memory=1Gi'
says 'hint: ask for less (spark.driver.memory'
nothing_left $n-quota
submit 0 $n-quota -c spark.driver.memory=512m -c spark.kubernetes.driver.pod.name=small
kubectl -n $n-quota delete pod small --now >/dev/null
eventually 30 sh -c "[ -z \"\$(kubectl -n $n-quota get services,configmaps -o name | grep -v kube-root-ca)\" ]"
quota pods=0 "$a_pod"
submit 1 $n-quota
says 'exceeded quota: q, requested: pods=1'
nothing_left $n-quota
quota services=0 "$a_service"
submit 1 $n-quota
says 'exceeded quota: q, requested: services=1'
nothing_left $n-quota
quota configmaps=1 create configmap probe # the cluster's own certificate is one
submit 1 $n-quota
says 'exceeded quota: q, requested: configmaps=1'
nothing_left $n-quota
quota limits.cpu=4 "$a_pod"
submit 1 $n-quota
says 'must specify limits.cpu'
says 'spark.kubernetes.driver.limit.cores'
nothing_left $n-quota

# --- LimitRange
own_namespace $n-range
kubectl -n $n-range apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec: {limits: [{type: Container, max: {memory: 512Mi}}]}
Y
submit 1 $n-range
says 'maximum memory usage per Container is 512Mi, but limit is 1433Mi'
says 'hint: a pod asks for spark.driver.memory (spark.executor.memory) plus memoryOverhead'
nothing_left $n-range

# --- what is not there
submit 1 $n-missing
says "namespaces \"$n-missing\" not found"
says 'kubectl create namespace'
own_namespace $n-plain
submit 1 $n-plain -c spark.kubernetes.authenticate.driver.serviceAccountName=nobody
says 'serviceaccount "nobody" not found'
says 'firesteel rbac --apply'
nothing_left $n-plain
for command in status logs kill; do
        expect 3 "$FIRESTEEL" $command -n $n-plain nothing
        says nothing
done
expect 0 "$FIRESTEEL" ls -n $n-plain
says "No applications in namespace $n-plain"

# --- credentials: no such token, one that has expired, one whose account is gone, none, an authority that did not sign the server
jwt() { # SECONDS_FROM_NOW: a token such as the cluster makes
        local b64='openssl base64 -A' now body
        now=$(date +%s)
        body=$(printf '{"alg":"RS256","kid":"%s"}' "$(openssl pkey -pubin -in "$pki/sa.pub" -outform DER | openssl dgst -sha256 -binary | $b64 | tr '+/' '-_' | tr -d =)" |
                $b64 | tr '+/' '-_' | tr -d =).$(printf '{"aud":["https://kubernetes.default.svc.cluster.local"],"exp":%d,"iat":%d,"nbf":%d,"iss":"https://kubernetes.default.svc.cluster.local","kubernetes.io":{"namespace":"%s","serviceaccount":{"name":"default","uid":"%s"}},"sub":"system:serviceaccount:%s:default"}' \
                $((now + $1)) $((now - 7200)) $((now - 7200)) $n-plain "$(kubectl -n $n-plain get serviceaccount default -o 'jsonpath={.metadata.uid}')" $n-plain |
                $b64 | tr '+/' '-_' | tr -d =)
        echo "$body.$(printf %s "$body" | openssl dgst -sha256 -sign "$pki/sa.key" | $b64 | tr '+/' '-_' | tr -d =)"
}
kubectl -n $n-plain create serviceaccount gone >/dev/null
gone=$(kubectl -n $n-plain create token gone)
kubectl -n $n-plain delete serviceaccount gone >/dev/null
eventually 30 sh -c "! kubectl --kubeconfig '$(kubeconfig_of gone "\"token\": \"$gone\"")' auth whoami"
expect 0 kubectl --kubeconfig "$(kubeconfig_of good "\"token\": \"$(jwt 3600)\"")" auth whoami # the same kind of token, not expired
says "system:serviceaccount:$n-plain:default"
for token in nonsense "$(jwt -60)" "$gone"; do
        bad=$(kubeconfig_of bad "\"token\": \"$token\"")
        submit 1 $n-plain --kubeconfig "$bad"
        says Unauthorized
        says "does not accept the credentials of context real of $bad"
        says_not 'could not delete'
        for command in ls 'status pi' 'logs pi' 'kill pi' 'rbac --apply'; do
                # shellcheck disable=SC2086
                expect 1 "$FIRESTEEL" ${command%% *} -n $n-plain --kubeconfig "$bad" ${command#"${command%% *}"}
                says "does not accept the credentials"
        done
done
submit 1 $n-plain --kubeconfig "$(kubeconfig_of nobody "")"
says 'User "system:anonymous" cannot patch resource "services"'
nothing_left $n-plain
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TEST_TMP/other.key" -out "$TEST_TMP/other.crt" -subj /CN=other -days 1 2>/dev/null
sed "s|\"certificate-authority-data\": \"[^\"]*\"|\"certificate-authority\": \"$TEST_TMP/other.crt\"|" "$KUBECONFIG" >"$TEST_TMP/authority.kubeconfig"
submit 1 $n-plain --kubeconfig "$TEST_TMP/authority.kubeconfig"
says certificate
sed "s|\"server\": \"[^\"]*\"|\"server\": \"https://127.0.0.1:1\"|" "$KUBECONFIG" >"$TEST_TMP/dead.kubeconfig"
submit 1 $n-plain --kubeconfig "$TEST_TMP/dead.kubeconfig"
says 'https://127.0.0.1:1'
says 'is the cluster running'

# --- rights: an account with none
kubectl -n $n-plain create serviceaccount poor >/dev/null
poor=$(kubeconfig_of poor "\"token\": \"$(kubectl -n $n-plain create token poor)\"")
submit 1 $n-plain --kubeconfig "$poor"
says 'is forbidden'
says 'firesteel rbac --submitter'
says_not 'could not delete'
for command in ls 'status pi' 'logs pi' 'kill pi'; do
        # shellcheck disable=SC2086
        expect 1 "$FIRESTEEL" ${command%% *} -n $n-plain --kubeconfig "$poor" ${command#"${command%% *}"}
        says 'cannot list resource "pods"'
        says 'firesteel rbac --submitter'
done
expect 1 "$FIRESTEEL" rbac -n $n-plain --kubeconfig "$poor" --apply
says 'cannot patch resource "serviceaccounts"'
nothing_left $n-plain

# --- the same under the name spark-submit: exit code 1, the server's own words, nothing left behind
spark_submit() { expect "$1" "${SPARK_SUBMIT:-$(dirname "$FIRESTEEL")/spark-submit}" --master "k8s://$server" --deploy-mode cluster --name pi \
        --conf spark.kubernetes.container.image=$image --conf spark.kubernetes.submission.waitAppCompletion=false "${@:2}" local:///opt/spark/pi.py; }
spark_submit 1 --conf spark.kubernetes.namespace=$n-restricted
says 'violates PodSecurity'
nothing_left $n-restricted
spark_submit 1 --conf spark.kubernetes.namespace=$n-range
says 'maximum memory usage per Container'
spark_submit 1 --conf spark.kubernetes.namespace=$n-missing
says "namespaces \"$n-missing\" not found"
quota services=0 "$a_service" # the pod is there already when the Service is refused
spark_submit 1 --conf spark.kubernetes.namespace=$n-quota
says 'exceeded quota'
eventually 30 sh -c "[ -z \"\$(kubectl -n $n-quota get pods -o name)\" ]"
eventually 30 sh -c "[ \"\$(kubectl -n $n-quota get configmaps -o name)\" = configmap/kube-root-ca.crt ]"
