"""RBAC, reviews, tokens, service accounts: who may what, and how refusals read."""
from areas import *

SAR, SSAR, LSAR = ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                   "/apis/authorization.k8s.io/v1/namespaces/${NS}/localsubjectaccessreviews")
USER = "system:serviceaccount:${NS}:spark"


def may(id, verb, resource, name=None, sub=None, api_group="", ns="${NS}", user=USER):
    attributes = {"namespace": ns, "verb": verb, "resource": resource, "group": api_group}
    if name:
        attributes["name"] = name
    if sub:
        attributes["subresource"] = sub
    return R(id, "POST", SAR, {"spec": {"user": user, "resourceAttributes": attributes}})


REQUESTS = [
    R("sa", "POST", CORE + "/serviceaccounts", {"metadata": {"name": "spark"}, "automountServiceAccountToken": False, "imagePullSecrets": [{"name": "x"}]}),
    R("role", "POST", RBAC + "/roles", {"metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "create"]}, {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]}),
    R("role-bad", "POST", RBAC + "/roles", {"metadata": {"name": "x"}, "rules": [{"apiGroups": [""], "resources": ["pods"]}]}),
    R("role-non-resource", "POST", RBAC + "/roles", {"metadata": {"name": "x"}, "rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
    R("role-no-groups", "POST", RBAC + "/roles", {"metadata": {"name": "x"}, "rules": [{"resources": ["pods"], "verbs": ["get"]}]}),
    R("binding", "POST", RBAC + "/rolebindings", {"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "spark", "namespace": "${NS}"}]}),
    R("binding-no-namespace", "POST", RBAC + "/rolebindings", {"metadata": {"name": "x"}, "roleRef": {"kind": "Role", "name": "none"}, "subjects": [{"kind": "ServiceAccount", "name": "spark"}]}),
    R("binding-bad-kind", "POST", RBAC + "/rolebindings", {"metadata": {"name": "x"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Thing", "name": "r"}, "subjects": [{"kind": "Robot", "name": "spark"}]}),
    R("binding-view", "POST", RBAC + "/rolebindings", {"metadata": {"name": "v"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "ann"}, {"kind": "Group", "name": "team"}]}),
    R("bound", "POST", SAR, {"spec": {"user": "ann", "resourceAttributes": {"namespace": "${NS}", "verb": "list", "resource": "pods"}}}, until=lambda status, text: b'"allowed":true' in text.replace(b" ", b""), silent=True),
    R("binding-table", "GET", RBAC + "/rolebindings", accept=TABLE),
    R("role-table", "GET", RBAC + "/roles", accept=TABLE),
    may("may-create-pods", "create", "pods"),
    may("may-delete-pods", "delete", "pods"),
    may("may-get-named", "get", "configmaps", "one"),
    may("may-get-other", "get", "configmaps", "two"),
    may("may-log", "get", "pods", sub="log"),
    may("may-exec", "create", "pods", sub="exec"),
    may("may-elsewhere", "create", "pods", ns="default"),
    may("ann-may-list", "list", "deployments", api_group="apps", user="ann"),
    may("ann-may-not-secrets", "list", "secrets", user="ann"),
    R("group-may", "POST", SAR, {"spec": {"user": "bob", "groups": ["team"], "resourceAttributes": {"namespace": "${NS}", "verb": "list", "resource": "pods"}}}),
    R("non-resource", "POST", SAR, {"spec": {"user": "bob", "groups": ["system:authenticated"], "nonResourceAttributes": {"path": "/api", "verb": "get"}}}),
    R("review-both", "POST", SAR, {"spec": {"user": "x", "resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}}}),
    R("review-neither", "POST", SAR, {"spec": {"user": "x"}}),
    R("review-nobody", "POST", SAR, {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}),
    R("local-review", "POST", LSAR, {"metadata": {"namespace": "${NS}"}, "spec": {"user": USER, "resourceAttributes": {"namespace": "${NS}", "verb": "get", "resource": "pods"}}}),
    R("local-review-mismatch", "POST", LSAR, {"metadata": {"namespace": "${NS}"}, "spec": {"user": USER, "resourceAttributes": {"namespace": "other", "verb": "get", "resource": "pods"}}}),
    R("self-review", "POST", SSAR, {"spec": {"resourceAttributes": {"verb": "*", "resource": "*", "group": "*"}}}),
    R("self-subject", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, silent=True),
    R("token", "POST", CORE + "/serviceaccounts/spark/token", {"spec": {"expirationSeconds": 600}}, remember={"TOKEN": "/status/token"}),
    R("token-short", "POST", CORE + "/serviceaccounts/spark/token", {"spec": {"expirationSeconds": 5}}),
    R("token-no-account", "POST", CORE + "/serviceaccounts/none/token", {"spec": {}}),
    R("token-bound-missing", "POST", CORE + "/serviceaccounts/spark/token", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}}),
    R("as-spark-list", "GET", CORE + "/pods", token="${TOKEN}"),
    R("as-spark-create", "POST", CORE + "/pods", pod("mine"), token="${TOKEN}"),
    R("as-spark-delete", "DELETE", CORE + "/pods/mine", token="${TOKEN}"),
    R("as-spark-watch", "GET", CORE + "/pods?watch=true&timeoutSeconds=1", token="${TOKEN}"),
    R("as-spark-secrets", "GET", CORE + "/secrets", token="${TOKEN}"),
    R("as-spark-secret", "GET", CORE + "/secrets/x", token="${TOKEN}"),
    R("as-spark-exec", "GET", CORE + "/pods/mine/exec?command=ls", token="${TOKEN}"),
    R("as-spark-nodes", "GET", "/api/v1/nodes", token="${TOKEN}"),
    R("as-spark-namespaces", "GET", "/api/v1/namespaces", token="${TOKEN}"),
    R("as-spark-elsewhere", "GET", "/api/v1/namespaces/kube-system/pods", token="${TOKEN}"),
    R("as-spark-all", "GET", "/api/v1/pods", token="${TOKEN}"),
    R("as-spark-custom", "GET", "/apis/none.example.com/v1/things", token="${TOKEN}"),
    R("as-spark-metrics", "GET", "/metrics", token="${TOKEN}"),
    R("as-spark-version", "GET", "/version", token="${TOKEN}"),
    R("as-spark-escalate", "POST", RBAC + "/roles", {"metadata": {"name": "esc"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}, token="${TOKEN}"),
    R("as-spark-reads-own-rules", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "${NS}"}}, token="${TOKEN}", silent=True),
    R("as-spark-self", "POST", SSAR, {"spec": {"resourceAttributes": {"namespace": "${NS}", "verb": "create", "resource": "pods"}}}, token="${TOKEN}"),
    R("anonymous-list", "GET", CORE + "/pods", token=""),
    R("anonymous-version", "GET", "/version", token=""),
    R("anonymous-ready", "GET", "/readyz", token=""),
    R("anonymous-api", "GET", "/api", token=""),
    R("nonsense-token", "GET", CORE + "/pods", token="nonsense"),
    R("impersonate", "GET", CORE + "/pods", extra={"Impersonate-User": "ann"}),
    R("impersonate-refused", "GET", CORE + "/secrets", extra={"Impersonate-User": "ann"}),
    R("token-review", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}}, silent=True),
    R("cluster-role-table", "GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view", accept=TABLE),
    R("sa-table", "GET", CORE + "/serviceaccounts", accept=TABLE),
]
