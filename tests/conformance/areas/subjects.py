"""Who may what, in depth: escalation, impersonation, rules reviews, tokens and their reviews, aggregated and system roles, service accounts."""
from areas import *

SSAR, SAR, SSRR = (f"/apis/authorization.k8s.io/v1/{p}" for p in ("selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews"))
WHO, REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews", "/apis/authentication.k8s.io/v1/tokenreviews"
ROLES, BINDINGS, CROLES, CBINDINGS = RBAC + "/roles", RBAC + "/rolebindings", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
CM = CORE + "/configmaps"
RA = "rbac.authorization.k8s.io"


def role(name, *rules, kind="Role"):
    return {"apiVersion": RA + "/v1", "kind": kind, "metadata": {"name": name}, "rules": list(rules)}


def rule(resources, *verbs, groups=("",), **more):
    return {"apiGroups": list(groups), "resources": resources.split(), "verbs": list(verbs), **more}


def binding(name, to, *subjects, kind="Role"):
    return {"apiVersion": RA + "/v1", "kind": "RoleBinding", "metadata": {"name": name}, "roleRef": {"apiGroup": RA, "kind": kind, "name": to}, "subjects": list(subjects)}


def sa(name, ns="${NS}"):
    return {"kind": "ServiceAccount", "name": name, "namespace": ns}


def as_user(user, *groups):
    return {"Impersonate-User": user, **({"Impersonate-Group": groups[0]} if groups else {})}


ANN = as_user("ann")
REQUESTS = [
    R("sa", "POST", CORE + "/serviceaccounts", {"metadata": {"name": "worker"}}, silent=True),
    R("role", "POST", ROLES, role("maker", rule("roles rolebindings", "create", "update", "patch", "get", groups=[RA]), rule("pods configmaps", "get", "list"), rule("serviceaccounts/token", "create")), silent=True),
    R("binding", "POST", BINDINGS, binding("maker", "maker", sa("worker"), {"apiGroup": RA, "kind": "User", "name": "ann"}, {"apiGroup": RA, "kind": "Group", "name": "team"}), silent=True),
    R("token", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"audiences": ["https://kubernetes.default.svc.cluster.local"]}}, remember={"TOKEN": "/status/token"}, silent=True),
    R("who", "POST", WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, token="${TOKEN}", wait=None),
    R("who-impersonated", "POST", WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, extra=as_user("ann", "team")),
    R("who-impersonated-sa", "POST", WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, extra=as_user("system:serviceaccount:${NS}:worker")),
    R("who-impersonated-extra", "POST", WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, extra={"Impersonate-User": "ann", "Impersonate-Uid": "7", "Impersonate-Extra-Scopes": "view"}),
    R("impersonate-group-only", "GET", CM, extra={"Impersonate-Group": "team"}),
    R("impersonate-by-worker", "GET", CM, token="${TOKEN}", extra=ANN),
    R("impersonate-group-may", "GET", CM, extra=as_user("bob", "team")),
    R("impersonate-anonymous", "GET", CM, extra=as_user("system:anonymous")),
    R("impersonate-masters", "GET", "/api/v1/nodes", extra=as_user("bob", "system:masters")),
    R("rules", "POST", SSRR, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "${NS}"}}, extra=ANN, silent=True),
    R("rules-no-namespace", "POST", SSRR, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {}}, extra=ANN),
    R("escalate-role", "POST", ROLES, role("more", rule("secrets", "get")), extra=ANN),
    R("escalate-several", "POST", ROLES, role("more", rule("secrets pods", "get", "delete"), rule("deployments", "*", groups=["apps"])), extra=ANN),
    R("escalate-none", "POST", ROLES, role("less", rule("pods", "get")), extra=ANN),
    R("escalate-resource-name", "POST", ROLES, role("named", rule("pods", "get", resourceNames=["one"])), extra=ANN),
    R("escalate-patch", "PATCH", ROLES + "/less", {"rules": [rule("secrets", "list")]}, MERGE, extra=ANN),
    R("escalate-binding", "POST", BINDINGS, binding("b", "admin", sa("worker"), kind="ClusterRole"), extra=ANN),
    R("escalate-binding-none", "POST", BINDINGS, binding("b2", "less", sa("worker")), extra=ANN),
    R("escalate-binding-missing-role", "POST", BINDINGS, binding("b3", "nowhere", sa("worker")), extra=ANN),
    R("escalate-cluster", "POST", CROLES, role("conf-x", rule("pods", "get"), kind="ClusterRole"), extra=ANN),
    R("binding-role-change", "PATCH", BINDINGS + "/b2", {"roleRef": {"name": "maker"}}, MERGE),
    R("binding-no-role-ref", "POST", BINDINGS, {"metadata": {"name": "x"}, "subjects": []}),
    R("binding-bad-group", "POST", BINDINGS, {"metadata": {"name": "x"}, "roleRef": {"apiGroup": "other", "kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u", "apiGroup": "other"}]}),
    R("binding-subject-no-name", "POST", BINDINGS, {"metadata": {"name": "x"}, "roleRef": {"apiGroup": RA, "kind": "Role", "name": "r"}, "subjects": [{"kind": "User"}]}),
    R("binding-sa-group", "POST", BINDINGS, {"metadata": {"name": "x"}, "roleRef": {"apiGroup": RA, "kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "apiGroup": RA, "name": "s", "namespace": "n"}]}),
    R("role-no-resources", "POST", ROLES, {"metadata": {"name": "x"}, "rules": [{"apiGroups": [""], "verbs": ["get"]}]}),
    R("role-wildcards", "POST", ROLES, role("wild", rule("*", "*", groups=["*"]))),
    R("role-name-colon", "POST", ROLES, role("a:b", rule("pods", "get"))),
    R("role-name-slash", "POST", ROLES, role("a/b")),
    R("cluster-role-url", "POST", CROLES + "?dryRun=All", {"metadata": {"name": "conf-url"}, "rules": [{"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}]}),
    R("cluster-role-both", "POST", CROLES + "?dryRun=All", {"metadata": {"name": "conf-url"}, "rules": [{"nonResourceURLs": ["/metrics"], "resources": ["pods"], "apiGroups": [""], "verbs": ["get"]}]}),
    R("cluster-role-bad-url", "POST", CROLES + "?dryRun=All", {"metadata": {"name": "conf-url"}, "rules": [{"nonResourceURLs": ["me*trics"], "verbs": ["get"]}]}),
    R("cluster-role-aggregation", "POST", CROLES + "?dryRun=All", {"metadata": {"name": "conf-agg"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}, "rules": []}),
    R("cluster-role-aggregation-empty", "POST", CROLES + "?dryRun=All", {"metadata": {"name": "conf-agg"}, "aggregationRule": {}, "rules": []}),
    R("cluster-binding-role", "POST", CBINDINGS + "?dryRun=All", {"metadata": {"name": "conf-b"}, "roleRef": {"apiGroup": RA, "kind": "Role", "name": "r"}, "subjects": []}),
    R("cluster-admin", "GET", CROLES + "/cluster-admin"),
    R("cluster-admin-binding", "GET", CBINDINGS + "/cluster-admin"),
    R("admin-table", "GET", CROLES + "/edit", accept=TABLE, silent=True),
    R("review-extra", "POST", SAR, {"spec": {"user": "ann", "uid": "1", "extra": {"a": ["b"]}, "resourceAttributes": {"namespace": "${NS}", "verb": "get", "resource": "pods", "name": "x", "subresource": "log"}}}),
    R("review-star-verb", "POST", SAR, {"spec": {"user": "ann", "resourceAttributes": {"namespace": "${NS}", "verb": "*", "resource": "pods"}}}),
    R("review-sa-groups", "POST", SAR, {"spec": {"user": "system:serviceaccount:${NS}:worker", "groups": ["system:serviceaccounts:${NS}"], "resourceAttributes": {"namespace": "${NS}", "verb": "list", "resource": "configmaps"}}}),
    R("review-masters", "POST", SAR, {"spec": {"user": "x", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "post"}}}),
    R("review-label-selector", "POST", SAR, {"spec": {"user": "ann", "resourceAttributes": {"namespace": "${NS}", "verb": "list", "resource": "pods", "labelSelector": {"rawSelector": "a=b"}}}}),
    R("review-selector-both", "POST", SAR, {"spec": {"user": "ann", "resourceAttributes": {"verb": "list", "resource": "pods", "labelSelector": {"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]}}}}),
    R("review-name-given", "POST", SAR, {"metadata": {"name": "x"}, "spec": {"user": "ann", "resourceAttributes": {"verb": "list", "resource": "pods"}}}),
    R("review-refused", "POST", SAR, {"spec": {"user": "ann", "resourceAttributes": {"verb": "list", "resource": "pods"}}}, extra=ANN),
    R("self-review-by-anybody", "POST", SSAR, {"spec": {"resourceAttributes": {"namespace": "${NS}", "verb": "delete", "resource": "pods"}}}, extra=ANN),
    R("self-url", "POST", SSAR, {"spec": {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}}, extra=ANN),
    R("review-get", "GET", SAR),
    R("token-review", "POST", REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "${TOKEN}"}}),
    R("token-review-audience", "POST", REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "${TOKEN}", "audiences": ["other"]}}),
    R("token-review-empty", "POST", REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}),
    R("token-review-refused", "POST", REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}, extra=ANN),
    R("token-long", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"expirationSeconds": 8589934592}}, silent=True),
    R("token-too-long", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"expirationSeconds": 4294967297}}),
    R("token-audience", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"audiences": ["vault"]}}, remember={"OTHER": "/status/token"}),
    R("token-audience-refused", "GET", CM, token="${OTHER}"),
    R("token-bound-kind", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}}),
    R("pod", "POST", CORE + "/pods", pod("holder", spec={"serviceAccountName": "worker"}), silent=True, remember={"POD": "/metadata/uid"}),
    R("token-bound", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "holder", "uid": "${POD}"}}}, remember={"BOUND": "/status/token"}),
    R("token-bound-uid", "POST", CORE + "/serviceaccounts/worker/token", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "holder", "uid": "11111111-2222-3333-4444-555555555555"}}}),
    R("token-bound-works", "GET", CM + "/kube-root-ca.crt", token="${BOUND}"),
    R("token-bound-pod-gone", "DELETE", CORE + "/pods/holder?gracePeriodSeconds=0", silent=True),
    R("token-bound-refused", "GET", CM + "/kube-root-ca.crt", token="${BOUND}", silent=True),  # the real server remembers tokens for ten seconds
    R("token-get", "GET", CORE + "/serviceaccounts/worker/token"),
    R("token-sa-gone", "DELETE", CORE + "/serviceaccounts/worker"),
    R("token-sa-gone-refused", "GET", CM, token="${TOKEN}", silent=True),
    R("default-sa-comes-back", "DELETE", CORE + "/serviceaccounts/default", silent=True),
    R("default-sa-is-back", "GET", CORE + "/serviceaccounts/default", wait=200),
    R("basic-auth", "GET", CM, token="", extra={"Authorization": "Basic YTpi"}),
    R("bearer-empty", "GET", CM, token="", extra={"Authorization": "Bearer "}),
    R("jwks", "GET", "/openid/v1/jwks", silent=True),
    R("jwks-anonymous", "GET", "/openid/v1/jwks", token=""),
    R("csr", "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests?dryRun=All", {"metadata": {"name": "conf-csr"}, "spec": {"request": "bm90IGEgcmVxdWVzdA==", "signerName": "example.com/x", "usages": ["client auth"]}}),
    R("csr-no-signer", "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests?dryRun=All", {"metadata": {"name": "conf-csr"}, "spec": {"request": "bm90IGEgcmVxdWVzdA==", "usages": []}}),
]
