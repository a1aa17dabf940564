#!/usr/bin/env bash
# Helm, the real one, with a real chart (metrics-server, from its Go module) and one of its own: install, wait, upgrade, roll back, test, uninstall.
# timeout: 500
. "$(dirname "$0")/lib.sh"
helm=$FIRESTEEL_CACHE/helm/helm chart=$FIRESTEEL_CACHE/helm/metrics-server
[ -x "$helm" ] && [ -d "$chart" ] || skip "Helm is not here: tools/setup test builds it where Go is"
f=$FIRESTEEL
expect 0 "$f" local up -q
KUBECONFIG=$("$f" local kubeconfig)
export KUBECONFIG HELM_CACHE_HOME=$TEST_TMP/helm/cache HELM_CONFIG_HOME=$TEST_TMP/helm/config HELM_DATA_HOME=$TEST_TMP/helm/data
h() { "$helm" "$@"; }

# --- a chart from the world: RBAC, a service, a deployment, an APIService. Its image is in no registry here, so nothing is waited for.
expect 0 h install metrics "$chart" --namespace metrics --create-namespace --set replicas=0 --set apiService.insecureSkipTLSVerify=true
says 'STATUS: deployed'
says 'does not aggregate APIs' # what has no effect here says so
expect 0 h list -n metrics -o json
[ "$(printf '%s' "$out" | python3 -c 'import json,sys; r=json.load(sys.stdin)[0]; print(r["revision"], r["status"])')" = '1 deployed' ] || fail "helm list says $out"
expect 0 h get manifest metrics -n metrics
says 'kind: ClusterRoleBinding'
expect 0 kubectl get deployment,service,serviceaccount -n metrics -l app.kubernetes.io/instance=metrics -o name
says deployment.apps/metrics-metrics-server
says service/metrics-metrics-server
expect 0 h upgrade metrics "$chart" --namespace metrics --set replicas=0 --set args={--v=2} --set podDisruptionBudget.enabled=true --set podDisruptionBudget.minAvailable=1
[[ $(kubectl get deployment -n metrics metrics-metrics-server -o jsonpath='{.spec.template.spec.containers[0].args}') == *--v=2* ]] || fail "the upgrade is not in the deployment"
expect 0 kubectl get pdb -n metrics metrics-metrics-server
expect 0 h rollback metrics 1 -n metrics
expect 1 kubectl get pdb -n metrics metrics-metrics-server
[[ $(kubectl get deployment -n metrics metrics-metrics-server -o jsonpath='{.spec.template.spec.containers[0].args}') != *--v=2* ]] || fail "the deployment was not rolled back"
expect 0 h history metrics -n metrics
says 'Rollback to 1'
expect 0 h uninstall metrics -n metrics --wait
# Helm waits for what it made; the deployment's replica sets go a little later.
nothing_left() { [[ $(kubectl get all -n metrics 2>&1) == *'No resources found'* ]]; }
eventually 30 nothing_left
expect 1 kubectl get clusterrole system:metrics-metrics-server

# --- an upgrade that the server refuses leaves the release as it was
expect 0 h install metrics "$chart" --namespace metrics --set replicas=0
expect 1 h upgrade metrics "$chart" --namespace metrics --set replicas=-1
says 'must be greater than or equal to 0'
expect 0 h status metrics -n metrics
expect 0 h uninstall metrics -n metrics

# --- a chart with pods that run: --wait, hooks, tests
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || exit 0
mkdir -p "$TEST_TMP/web/templates"
cat >"$TEST_TMP/web/Chart.yaml" <<'Y'
apiVersion: v2
name: web
version: 0.1.0
Y
echo 'message: hello' >"$TEST_TMP/web/values.yaml"
cat >"$TEST_TMP/web/templates/all.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {index.html: {{ .Values.message | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {checksum: {{ .Values.message | sha256sum }}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: python
        command: [python3, -m, http.server, "8000", --directory, /www]
        ports: [{containerPort: 8000}]
        readinessProbe: {httpGet: {path: /index.html, port: 8000}, periodSeconds: 1}
        volumeMounts: [{name: www, mountPath: /www}]
      volumes: [{name: www, configMap: {name: {{ .Release.Name }}}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-hook, annotations: {helm.sh/hook: pre-install, helm.sh/hook-delete-policy: hook-succeeded}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: ["true"]}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: {{ .Release.Name }}-test, annotations: {helm.sh/hook: test}}
spec:
  restartPolicy: Never
  containers:
  # Helm's --wait ends with the new pod being ready: the service may lead to the old one for a moment more.
  - name: c
    image: python
    command:
    - python3
    - -c
    - |
      import time, urllib.request
      page = ""
      while page != {{ .Values.message | quote }}:
          try:
              page = urllib.request.urlopen("http://{{ .Release.Name }}/index.html", timeout=60).read().decode()
          except OSError:
              time.sleep(0.1)
      print(page)
Y
expect 0 h install site "$TEST_TMP/web" --wait --timeout 180s
says 'STATUS: deployed'
expect 0 h test site --logs --timeout 120s
says hello
expect 0 h upgrade site "$TEST_TMP/web" --set message=goodbye --wait --timeout 180s
expect 0 kubectl delete pod site-test --ignore-not-found
expect 0 h test site --logs --timeout 120s
says goodbye
expect 0 h uninstall site --wait --timeout 120s
expect 0 "$f" local down
