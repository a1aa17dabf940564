#!/usr/bin/env bash
# kubectl's commands beyond pods (kubectl_pods.sh): what they send, what they print, and that the server did it.
# timeout: 500
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up -q
pods=$("$f" local status -o json | json .isolation.possible)
is() { [ "$1" = "$2" ] || fail "it is '$1' instead of '$2'"; }

# --- discovery, schemas
expect 0 k api-resources -o wide
for kind in deployments cronjobs customresourcedefinitions networkpolicies csidrivers resourceclaims; do says "$kind"; done
expect 0 k api-versions
says apps/v1
expect 0 k explain deployment.spec.strategy.rollingUpdate.maxSurge
says "FIELD: maxSurge"
expect 0 k explain pod.spec.containers --recursive
says terminationMessagePolicy
expect 0 k cluster-info
expect 0 k get --raw /readyz
is "$out" ok
expect 0 k version -o json
expect 0 k get componentstatuses
expect 0 k config view --minify

# --- the typed create family: protobuf bodies
expect 0 k create namespace shop
expect 0 k create configmap c --from-literal=a=1 --from-literal=b=2 -n shop
expect 0 k create secret generic s --from-literal=p=q -n shop
expect 0 k create secret docker-registry d --docker-server=r.example --docker-username=u --docker-password=p -n shop
expect 0 k create serviceaccount robot -n shop
expect 0 k create role reader --verb=get,list --resource=pods,deployments.apps -n shop
expect 0 k create clusterrole breadth --verb=get --non-resource-url=/metrics
expect 0 k create rolebinding rb --role=reader --serviceaccount=shop:robot -n shop
expect 0 k create clusterrolebinding breadth --clusterrole=view --user=ann
expect 0 k create quota q --hard=pods=20,services=9 -n shop
expect 0 k create priorityclass high --value=100 --description=x
expect 0 k create poddisruptionbudget pdb --selector=app=web --min-available=1 -n shop
expect 0 k create ingress i --rule='h.example.com/*=web:80' -n shop
says 'no ingress controller' # what has no effect says so
expect 0 k create service clusterip ci --tcp=80:8080 -n shop
expect 0 k create service nodeport np --tcp=81:8081 -n shop
expect 0 k create service externalname en --external-name=example.com -n shop
expect 0 k create job j --image=busybox -n shop -- true
expect 0 k create cronjob cj --image=busybox --schedule='0 0 1 1 *' -n shop -- true
expect 0 k create job from --from=cronjob/cj -n shop
expect 0 k create deployment web --image=busybox --replicas=0 -n shop -- sleep 600
expect 0 k create token robot -n shop
[[ $out == ey*.*.* ]] || fail "no token: $out"
expect 1 k create namespace shop
says AlreadyExists
expect 1 k create quota bad --hard=pods=-1 -n shop
says 'must be greater than or equal to 0'

# --- get and describe, every kind
expect 0 k get all,cm,secret,sa,role,rolebinding,quota,pdb,ingress,ep,endpointslices -n shop -o wide
for thing in deployment/web job/j cronjob/cj service/np ingress/i quota/q pdb/pdb serviceaccount/robot secret/s configmap/c role/reader rolebinding/rb; do expect 0 k describe "$thing" -n shop; done
expect 0 k describe namespace shop
says 'Resource Quotas'
expect 0 k describe node
says Allocatable
expect 0 k get deployment web -n shop -o yaml
expect 0 k get deployments -A --sort-by=.metadata.creationTimestamp -o custom-columns=N:.metadata.name,R:.spec.replicas
says web
expect 0 k get cm -n shop --field-selector metadata.name=c -o name
is "$out" configmap/c
expect 0 k get cm -n shop --chunk-size=1 -o name
says configmap/kube-root-ca.crt
k get pods -n shop --show-labels --watch >"$TEST_TMP/watched" 2>&1 &
watcher=$!
eventually 30 grep -q 'job-name=j' "$TEST_TMP/watched"
kill $watcher

# --- apply: on the client, on the server, diff, replace, edit, kustomize, prune by label
cat >"$TEST_TMP/a.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: shop, labels: {set: one}}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: c, image: "busybox:1", env: [{name: A, value: "1"}, {name: B, value: "2"}]}]}
Y
expect 1 k diff -f "$TEST_TMP/a.yaml"
says '+  name: app'
expect 0 k apply -f "$TEST_TMP/a.yaml"
says created
expect 0 k apply -f "$TEST_TMP/a.yaml"
says unchanged
# The controller may write annotations and status between what it reads and what it compares that with.
eventually 30 k diff -f "$TEST_TMP/a.yaml"
sed -i 's/, {name: B, value: "2"}//; s/busybox:1/busybox:2/' "$TEST_TMP/a.yaml"
expect 0 k apply -f "$TEST_TMP/a.yaml"
is "$(k get deployment app -n shop -o jsonpath='{.spec.template.spec.containers[0].env[*].name}')" A
sed -i 's/env:/envv:/' "$TEST_TMP/a.yaml"
expect 1 k apply -f "$TEST_TMP/a.yaml"
says 'unknown field "spec.template.spec.containers[0].envv"'
sed -i 's/envv:/env:/; s/busybox:2/busybox:3/' "$TEST_TMP/a.yaml"
expect 0 k apply --server-side --field-manager=other --force-conflicts -f "$TEST_TMP/a.yaml"
sed -i 's/busybox:3/busybox:4/' "$TEST_TMP/a.yaml"
expect 1 k apply --server-side --field-manager=third -f "$TEST_TMP/a.yaml"
says 'conflict with "other"'
expect 0 k apply --dry-run=server -f "$TEST_TMP/a.yaml"
eventually 30 k replace -f "$TEST_TMP/a.yaml" # kubectl sends the version it has just read, and the controller may write between
EDITOR="sed -i s/busybox:4/busybox:5/" expect 0 k edit deployment app -n shop
is "$(k get deployment app -n shop -o jsonpath='{.spec.template.spec.containers[0].image}')" busybox:5
mkdir "$TEST_TMP/kustom"
cp "$TEST_TMP/a.yaml" "$TEST_TMP/kustom/"
printf 'resources: [a.yaml]\nnamePrefix: k-\n' >"$TEST_TMP/kustom/kustomization.yaml"
expect 0 k apply -k "$TEST_TMP/kustom"
says k-app
expect 0 k apply view-last-applied deployment/k-app -n shop

# --- label, annotate, patch, set, scale, autoscale, expose, taint, rollout history
expect 0 k label deployment app -n shop tier=gold
expect 1 k label deployment app -n shop tier=lead
says 'already has a value'
expect 0 k label deployment app -n shop tier-
expect 0 k annotate deployment app -n shop note='two words'
expect 0 k patch deployment app -n shop --type=json -p '[{"op":"add","path":"/spec/minReadySeconds","value":3}]'
expect 0 k patch deployment app -n shop --subresource=status --type=merge -p '{"status":{"observedGeneration":0}}'
expect 0 k set image deployment/app c=busybox:6 -n shop
expect 0 k set env deployment/app X=y -n shop
expect 0 k set resources deployment/app --limits=cpu=100m,memory=64Mi -n shop
expect 0 k set serviceaccount deployment/app robot -n shop
is "$(k get deployment app -n shop -o jsonpath='{.spec.template.spec.serviceAccountName}')" robot
expect 0 k rollout history deployment/app -n shop
says REVISION
expect 0 k rollout undo deployment/app -n shop
expect 0 k rollout pause deployment/app -n shop
expect 0 k rollout resume deployment/app -n shop
expect 0 k rollout restart deployment/app -n shop
expect 0 k rollout status deployment/app -n shop --timeout=180s
expect 0 k autoscale deployment app -n shop --min=1 --max=3 --cpu-percent=50
says 'has no effect'
expect 0 k expose deployment app --port=80 -n shop
expect 0 k get hpa -n shop
node=$(k get nodes -o jsonpath="{.items[0].metadata.name}")
expect 0 k taint node "$node" k=v:PreferNoSchedule
expect 0 k taint node "$node" k-
expect 0 k wait deployment/app -n shop --for=jsonpath='{.spec.replicas}'=0 --timeout=180s

# --- who may what
expect 0 k auth can-i '*' '*'
expect 0 k auth can-i list pods -n shop --as=system:serviceaccount:shop:robot
expect 1 k auth can-i delete pods -n shop --as=system:serviceaccount:shop:robot
expect 0 k auth can-i --list -n shop --as=system:serviceaccount:shop:robot
says deployments.apps
expect 0 k auth whoami
says Username
expect 1 k get secrets -n shop --as=ann
says 'cannot list resource "secrets"'

# --- custom resources
k apply -f - <<'Y' >/dev/null
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.breadth.example.com}
spec:
  group: breadth.example.com
  scope: Namespaced
  names: {plural: boats, kind: Boat, shortNames: [bt], categories: [fleet]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.crew}}
    additionalPrinterColumns: [{name: Crew, type: integer, jsonPath: .spec.crew}]
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {crew: {type: integer, minimum: 1, description: how many}}}, status: {type: object, properties: {crew: {type: integer}}}}}}
Y
expect 0 k wait --for=condition=Established crd/boats.breadth.example.com --timeout=180s
printf 'apiVersion: breadth.example.com/v1\nkind: Boat\nmetadata: {name: b, namespace: shop}\nspec: {crew: 4}\n' >"$TEST_TMP/boat.yaml"
expect 0 k apply -f "$TEST_TMP/boat.yaml"
expect 0 k get bt -n shop
says CREW
expect 0 k get fleet -n shop
expect 0 k scale boat b -n shop --replicas=7
is "$(k get boat b -n shop -o jsonpath='{.spec.crew}')" 7
expect 1 k patch boat b -n shop --type=merge -p '{"spec":{"crew":0}}'
says 'should be greater than or equal to 1'
expect 0 k explain boat.spec.crew
says 'how many'
expect 0 k delete crd boats.breadth.example.com --timeout=180s
expect 1 k get boats -n shop

# --- pods: terminals, files, metrics, eviction, debugging
if [ "$pods" = true ]; then
        k create deployment srv --image=python --replicas=2 -- sh -c 'trap "exit 0" TERM; while :; do sleep 0.2; done' >/dev/null
        expect 0 k rollout status deployment/srv --timeout=120s
        pod=$(k get pods -l app=srv -o jsonpath='{.items[0].metadata.name}')
        code=0
        out=$(script -qec "kubectl --kubeconfig '$("$f" local kubeconfig)' exec -it $pod -- sh -c 'test -t 0 && stty size && echo a terminal'" /dev/null </dev/null 2>&1) || code=$?
        says 'a terminal'
        echo content >"$TEST_TMP/up"
        # The owner that tar would give the file is one of many ids; there is only one without subordinate ids.
        keep=()
        [ "$("$f" local status -o json | json .isolation.subordinateIds)" != false ] || keep=(--no-preserve)
        expect 0 k cp "${keep[@]}" "$TEST_TMP/up" "$pod:/tmp/down"
        expect 0 k cp "$pod:/tmp/down" "$TEST_TMP/back"
        is "$(cat "$TEST_TMP/back")" content
        eventually 60 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' top pod $pod"
        expect 0 k top pod --containers
        expect 0 k top node
        expect 0 k logs -l app=srv --prefix --tail=1
        expect 0 k events --for deployment/srv
        says ScalingReplicaSet
        expect 0 k get events --field-selector reason=Scheduled
        expect 0 k cordon "$node"
        is "$(k get node "$node" -o jsonpath='{.spec.unschedulable}')" true
        expect 0 k create poddisruptionbudget keep --selector=app=srv --min-available=2
        eventually 60 sh -c "[ \"\$(kubectl --kubeconfig '$("$f" local kubeconfig)' get pdb keep -o jsonpath='{.status.currentHealthy} {.status.disruptionsAllowed}')\" = '2 0' ]"
        k drain "$node" --ignore-daemonsets --delete-emptydir-data --force --timeout=180s >"$TEST_TMP/drain" 2>&1 &
        drain=$!
        eventually 30 grep -q "would violate the pod's disruption budget" "$TEST_TMP/drain"
        is "$(k get pods -l app=srv -o name | wc -l)" 2
        expect 0 k delete pdb keep
        wait $drain || fail "drain ended with $?: $(cat "$TEST_TMP/drain")"
        grep -q evicted "$TEST_TMP/drain" || fail "nothing was evicted: $(cat "$TEST_TMP/drain")"
        expect 0 k uncordon "$node"
        expect 0 k rollout status deployment/srv --timeout=120s
        expect 0 k delete deployment srv --cascade=foreground --timeout=180s
fi

# --- deletion in its forms
expect 0 k delete deployment web -n shop --cascade=orphan
expect 0 k delete cm c -n shop --dry-run=server
expect 0 k get cm c -n shop
expect 0 k delete cm,secret --all -n shop
expect 0 k delete -f "$TEST_TMP/a.yaml" --ignore-not-found
expect 0 k delete namespace shop --timeout=180s
expect 1 k get namespace shop
expect 0 k delete clusterrole,clusterrolebinding breadth
expect 0 "$f" local down
