"""Services, Endpoints, EndpointSlices, Ingresses, NetworkPolicies."""
from areas import *

S = CORE + "/services"


def bad(id, spec, **metadata):
    return R(id, "POST", S, service("x", spec, **metadata))


REQUESTS = [
    R("cluster-ip", "POST", S, service("a")),
    R("endpoints-made", "GET", CORE + "/endpoints/a", wait=200),
    R("headless", "POST", S, service("h", {"clusterIP": "None"})),
    R("headless-no-ports", "POST", S, service("hn", {"clusterIP": "None", "ports": []})),
    R("no-selector", "POST", S, service("ns", {"selector": None})),
    R("node-port", "POST", S, service("np", {"type": "NodePort"})),
    R("load-balancer", "POST", S, service("lb", {"type": "LoadBalancer"})),
    R("external-name", "POST", S, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "en"}, "spec": {"type": "ExternalName", "externalName": "example.com"}}),
    R("external-name-missing", "POST", S, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"type": "ExternalName"}}),
    R("named-target", "POST", S, service("nt", {"ports": [{"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 81, "protocol": "UDP"}], "sessionAffinity": "ClientIP"})),
    R("dual-stack-prefer", "POST", S, service("ds", {"ipFamilyPolicy": "PreferDualStack"})),
    bad("dual-stack-require", {"ipFamilyPolicy": "RequireDualStack"}),
    bad("ipv6", {"ipFamilies": ["IPv6"]}),
    bad("two-ports-no-names", {"ports": [{"port": 80}, {"port": 81}]}),
    bad("two-ports-same-name", {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}),
    bad("two-ports-same-number", {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}),
    bad("port-too-large", {"ports": [{"port": 65536}]}),
    bad("port-name-bad", {"ports": [{"name": "A_b", "port": 80}]}),
    bad("target-port-bad", {"ports": [{"port": 80, "targetPort": "Bad Name"}]}),
    bad("protocol-bad", {"ports": [{"port": 80, "protocol": "X"}]}),
    bad("type-bad", {"type": "Sometimes"}),
    bad("cluster-ip-bad", {"clusterIP": "1.2.3.4"}),
    bad("cluster-ip-text", {"clusterIP": "x"}),
    bad("affinity-bad", {"sessionAffinity": "Maybe"}),
    bad("selector-bad", {"selector": {"a b": "c"}}),
    bad("node-port-on-cluster-ip", {"ports": [{"port": 80, "nodePort": 30001}]}),
    bad("node-port-range", {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}),
    R("name-uppercase", "POST", S, service("Abc")),
    R("name-dots", "POST", S, service("a.b")),
    R("table", "GET", S, accept=TABLE),
    R("endpoints-by-hand", "POST", CORE + "/endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "byhand"}, "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
    R("endpoints-bad-ip", "POST", CORE + "/endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "x"}, "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}]}),
    R("slice", "POST", group("discovery.k8s.io") + "/endpointslices", {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": {"name": "sl", "labels": {"kubernetes.io/service-name": "ns"}},
                                                                    "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "", "port": 80}]}),
    R("slice-bad", "POST", group("discovery.k8s.io") + "/endpointslices", {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPvX", "metadata": {"name": "x"}, "endpoints": []}),
    R("slice-table", "GET", group("discovery.k8s.io") + "/endpointslices/sl", accept=TABLE),
    R("ingress", "POST", group("networking.k8s.io") + "/ingresses", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": [{"host": "h.example.com", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]}}]}}),
    R("ingress-empty", "POST", group("networking.k8s.io") + "/ingresses", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "x"}, "spec": {}}),
    R("network-policy", "POST", group("networking.k8s.io") + "/networkpolicies", {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
    R("network-policy-defaults", "POST", group("networking.k8s.io") + "/networkpolicies", {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n2"}, "spec": {"podSelector": {}, "ingress": [{}], "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}}),
    R("delete", "DELETE", S + "/a"),
    R("endpoints-gone", "GET", CORE + "/endpoints/a", wait=404),
]
