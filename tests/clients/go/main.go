// What Go programs do with a Kubernetes API, against any server: informers (also with watch lists), leader election, paging, protobuf, the dynamic client
// with a custom resource, server-side apply, discovery, and a controller built with controller-runtime. Prints a line for each part; exit code 1 at the
// first that fails.
//
//	clients KUBECONFIG NAMESPACE
//
// With KUBE_FEATURE_WatchListClient=true only the part about watch lists.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	ctrl "sigs.k8s.io/controller-runtime"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const patience = 60 * time.Second

type test struct {
	ctx    context.Context
	config *rest.Config
	client kubernetes.Interface
	ns     string
}

// recorder counts the requests whose query has a word in it.
type recorder struct {
	next http.RoundTripper
	word string
	hits atomic.Int64
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	if strings.Contains(q.URL.RawQuery, r.word) {
		r.hits.Add(1)
	}
	return r.next.RoundTrip(q)
}

func eventually(ctx context.Context, what string, condition func() (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return condition() })
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func configMap(name, label string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"part": label}}, Data: map[string]string{"k": "v"}}
}

func (t *test) informerWith(c kubernetes.Interface, label string) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var mutex sync.Mutex
	seen := map[string]int{}
	count := func(what string) int { mutex.Lock(); defer mutex.Unlock(); return seen[what] }
	note := func(what string) { mutex.Lock(); seen[what]++; mutex.Unlock() }

	if _, err := c.CoreV1().ConfigMaps(t.ns).Create(ctx, configMap(label+"-before", label), metav1.CreateOptions{}); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace(t.ns),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "part=" + label }))
	informer := factory.Core().V1().ConfigMaps()
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { note("added") },
		UpdateFunc: func(_, _ any) { note("updated") },
		DeleteFunc: func(any) { note("deleted") },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		return fmt.Errorf("the cache did not sync")
	}
	if _, err := informer.Lister().ConfigMaps(t.ns).Get(label + "-before"); err != nil {
		return err
	}
	for i := 0; i < 3; i++ {
		if _, err := c.CoreV1().ConfigMaps(t.ns).Create(ctx, configMap(fmt.Sprintf("%s-%d", label, i), label), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if _, err := c.CoreV1().ConfigMaps(t.ns).Patch(ctx, label+"-1", types.MergePatchType, []byte(`{"data":{"k":"w"}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if err := c.CoreV1().ConfigMaps(t.ns).Delete(ctx, label+"-2", metav1.DeleteOptions{}); err != nil {
		return err
	}
	// An object that leaves the selector is deleted to this watcher.
	if _, err := c.CoreV1().ConfigMaps(t.ns).Patch(ctx, label+"-0", types.MergePatchType, []byte(`{"metadata":{"labels":{"part":"none"}}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, "events", func() (bool, error) { return count("added") == 4 && count("updated") >= 1 && count("deleted") == 2, nil }); err != nil {
		return fmt.Errorf("%w: %v", err, seen)
	}
	cm, err := informer.Lister().ConfigMaps(t.ns).Get(label + "-1")
	if err != nil || cm.Data["k"] != "w" {
		return fmt.Errorf("the lister has %v, %v", cm, err)
	}
	return nil
}

func (t *test) informer() error { return t.informerWith(t.client, "inf") }

// With KUBE_FEATURE_WatchListClient=true in the environment informers ask for initial events in the watch instead of listing.
func (t *test) watchList() error {
	config := rest.CopyConfig(t.config)
	asked := &recorder{word: "sendInitialEvents=true"}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { asked.next = next; return asked })
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := t.informerWith(c, "wl"); err != nil {
		return err
	}
	if asked.hits.Load() == 0 {
		return fmt.Errorf("the informer never asked for initial events")
	}
	return nil
}

func (t *test) elector(ctx context.Context, name string, leads chan<- string) error {
	lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: t.ns}, Client: t.client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	e, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second,
		RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leads <- name }, OnStoppedLeading: func() {}}})
	if err != nil {
		return err
	}
	go e.Run(ctx)
	return nil
}

func (t *test) leaderElection() error {
	leads := make(chan string, 2)
	first, stopFirst := context.WithCancel(t.ctx)
	second, stopSecond := context.WithCancel(t.ctx)
	defer stopFirst()
	defer stopSecond()
	if err := t.elector(first, "first", leads); err != nil {
		return err
	}
	if who := <-leads; who != "first" {
		return fmt.Errorf("%s leads", who)
	}
	if err := t.elector(second, "second", leads); err != nil {
		return err
	}
	var lease *coordinationv1.Lease
	lease, err := t.client.CoordinationV1().Leases(t.ns).Get(t.ctx, "leader", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "first" {
		return fmt.Errorf("the lease is %v, %v", lease, err)
	}
	stopFirst()
	select {
	case who := <-leads:
		if who != "second" {
			return fmt.Errorf("%s leads", who)
		}
	case <-time.After(patience):
		return fmt.Errorf("nobody took over")
	}
	return nil
}

func (t *test) paging() error {
	for i := 0; i < 5; i++ {
		if _, err := t.client.CoreV1().ConfigMaps(t.ns).Create(t.ctx, configMap(fmt.Sprintf("page-%d", i), "page"), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		list, err := t.client.CoreV1().ConfigMaps(t.ns).List(ctx, o)
		if err == nil && len(list.Items) > 2 {
			return nil, fmt.Errorf("a page of %d", len(list.Items))
		}
		return list, err
	})
	p.PageSize = 2
	names := []string{}
	err := p.EachListItem(t.ctx, metav1.ListOptions{LabelSelector: "part=page"}, func(o runtime.Object) error {
		names = append(names, o.(*corev1.ConfigMap).Name)
		return nil
	})
	if err != nil || strings.Join(names, " ") != "page-0 page-1 page-2 page-3 page-4" {
		return fmt.Errorf("%v, %v", names, err)
	}
	return nil
}

func (t *test) protobuf() error {
	config := rest.CopyConfig(t.config)
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	replicas := int32(0)
	labels := map[string]string{"app": "proto"}
	made, err := c.AppsV1().Deployments(t.ns).Create(t.ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "proto"}, Spec: appsv1.DeploymentSpec{Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox", Env: []corev1.EnvVar{{Name: "A", Value: "1"}}}}}}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if made.Spec.Template.Spec.Containers[0].Env[0].Value != "1" || made.Spec.Strategy.RollingUpdate == nil || made.UID == "" {
		return fmt.Errorf("what came back lacks something: %v", made)
	}
	made.Spec.Paused = true
	if _, err = c.AppsV1().Deployments(t.ns).Update(t.ctx, made, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return err
	}
	return nil
}

func (t *test) apply() error {
	deployment := func(image string) *appsapply.DeploymentApplyConfiguration {
		labels := map[string]string{"app": "ssa"}
		return appsapply.Deployment("ssa", t.ns).WithSpec(appsapply.DeploymentSpec().WithReplicas(0).WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().WithContainers(coreapply.Container().WithName("c").WithImage(image)))))
	}
	deployments := t.client.AppsV1().Deployments(t.ns)
	if _, err := deployments.Apply(t.ctx, deployment("one"), metav1.ApplyOptions{FieldManager: "a"}); err != nil {
		return err
	}
	_, err := deployments.Apply(t.ctx, deployment("two"), metav1.ApplyOptions{FieldManager: "b"})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict but %v", err)
	}
	if causes := err.(*apierrors.StatusError).ErrStatus.Details.Causes; len(causes) != 1 || causes[0].Type != metav1.CauseTypeFieldManagerConflict {
		return fmt.Errorf("causes %v", causes)
	}
	forced, err := deployments.Apply(t.ctx, deployment("two"), metav1.ApplyOptions{FieldManager: "b", Force: true})
	if err != nil || forced.Spec.Template.Spec.Containers[0].Image != "two" {
		return fmt.Errorf("%v, %v", forced, err)
	}
	extracted, err := appsapply.ExtractDeployment(forced, "a")
	if err != nil {
		return err
	}
	if c := extracted.Spec.Template.Spec.Containers[0]; c.Image != nil {
		return fmt.Errorf("the first manager still owns the image")
	}
	return nil
}

func (t *test) custom() error {
	resource := schema.GroupVersionResource{Group: "go.example.com", Version: "v1", Resource: "things"}
	definitions, err := apiextensions.NewForConfig(t.config)
	if err != nil {
		return err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "things.go.example.com"}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: resource.Group, Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: "Thing"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
				"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer", Default: &apiextensionsv1.JSON{Raw: []byte("3")}}}},
				"status": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"state": {Type: "string"}}}}}}}}}}
	if _, err := definitions.ApiextensionsV1().CustomResourceDefinitions().Create(t.ctx, crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	defer definitions.ApiextensionsV1().CustomResourceDefinitions().Delete(context.Background(), crd.Name, metav1.DeleteOptions{})
	err = eventually(t.ctx, "established", func() (bool, error) {
		now, err := definitions.ApiextensionsV1().CustomResourceDefinitions().Get(t.ctx, crd.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	things, err := dynamic.NewForConfig(t.config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var added atomic.Int64
	factory := dynamicinformer.NewDynamicSharedInformerFactory(things, 0)
	informer := factory.ForResource(resource).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(any) { added.Add(1) }}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	one := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "go.example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "one"}, "spec": map[string]any{}}}
	made, err := things.Resource(resource).Namespace(t.ns).Create(t.ctx, one, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if size, _, _ := unstructured.NestedInt64(made.Object, "spec", "size"); size != 3 {
		return fmt.Errorf("no default: %v", made.Object)
	}
	if err := unstructured.SetNestedField(made.Object, "good", "status", "state"); err != nil {
		return err
	}
	if _, err := things.Resource(resource).Namespace(t.ns).UpdateStatus(t.ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return eventually(t.ctx, "the dynamic informer", func() (bool, error) { return added.Load() == 1, nil })
}

func (t *test) discovery() error {
	groups, lists, err := t.client.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	for _, list := range lists {
		for _, r := range list.APIResources {
			if list.GroupVersion == "apps/v1" && r.Name == "deployments" && r.Kind == "Deployment" && r.Namespaced {
				if v, err := t.client.Discovery().ServerVersion(); err != nil || v.Major != "1" {
					return fmt.Errorf("version %v, %v", v, err)
				}
				return nil
			}
		}
	}
	return fmt.Errorf("no deployments among %d groups", len(groups))
}

// reconciler keeps a Secret of the same name for each labelled ConfigMap.
type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, q ctrl.Request) (ctrl.Result, error) {
	var cm corev1.ConfigMap
	if err := r.Get(ctx, q.NamespacedName, &cm); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if cm.Labels["part"] != "ctrl" {
		return ctrl.Result{}, nil
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: cm.Name, Namespace: cm.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, secret, func() error {
		secret.StringData = cm.Data
		return controllerutil.SetControllerReference(&cm, secret, r.Scheme())
	})
	return ctrl.Result{}, err
}

func (t *test) controller() error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	manager, err := ctrl.NewManager(t.config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}, LeaderElection: true, LeaderElectionID: "manager",
		LeaderElectionNamespace: t.ns, LeaderElectionReleaseOnCancel: true, Cache: crcache.Options{DefaultNamespaces: map[string]crcache.Config{t.ns: {}}}})
	if err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).Complete(&reconciler{manager.GetClient()}); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- manager.Start(ctx) }()
	if _, err := t.client.CoreV1().ConfigMaps(t.ns).Create(ctx, configMap("kept", "ctrl"), metav1.CreateOptions{}); err != nil {
		return err
	}
	get := func() (*corev1.Secret, error) { return t.client.CoreV1().Secrets(t.ns).Get(ctx, "kept", metav1.GetOptions{}) }
	var first types.UID
	err = eventually(ctx, "the secret", func() (bool, error) {
		s, err := get()
		if err == nil {
			first = s.UID
		}
		return err == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	if err := t.client.CoreV1().Secrets(t.ns).Delete(ctx, "kept", metav1.DeleteOptions{}); err != nil {
		return err
	}
	err = eventually(ctx, "the secret again", func() (bool, error) {
		s, err := get()
		return err == nil && s.UID != first, client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	// The owner goes, and garbage collection takes the rest.
	if err := t.client.CoreV1().ConfigMaps(t.ns).Delete(ctx, "kept", metav1.DeleteOptions{}); err != nil {
		return err
	}
	err = eventually(ctx, "garbage collection", func() (bool, error) {
		_, err := get()
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	cancel()
	if stopped := <-done; err == nil && stopped != nil {
		return stopped
	}
	return err
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients KUBECONFIG NAMESPACE")
		os.Exit(2)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err == nil {
		config.QPS, config.Burst = 500, 500
	}
	t := &test{ctx: context.Background(), config: config, ns: os.Args[2]}
	if err == nil {
		t.client, err = kubernetes.NewForConfig(config)
	}
	if err == nil {
		_, err = t.client.CoreV1().Namespaces().Create(t.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.ns}}, metav1.CreateOptions{})
	}
	parts := []struct {
		name string
		run  func() error
	}{{"informer", t.informer}, {"leader election", t.leaderElection}, {"paging", t.paging}, {"protobuf", t.protobuf}, {"apply", t.apply}, {"custom resource", t.custom},
		{"discovery", t.discovery}, {"controller-runtime", t.controller}}
	if os.Getenv("KUBE_FEATURE_WatchListClient") == "true" {
		parts = append(parts[:0], parts[0])
		parts[0].name, parts[0].run = "watch list", t.watchList
	}
	for _, part := range parts {
		if err == nil {
			if err = part.run(); err != nil {
				err = fmt.Errorf("%s: %w", part.name, err)
			} else {
				fmt.Println("ok", part.name)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}
