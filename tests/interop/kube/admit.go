package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/openapi"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// request is the creation of one pod.
type request struct {
	Pod    json.RawMessage   `json:"pod"`
	Labels map[string]string `json:"labels"` // of its namespace
}

// verdict is the pod as it would be stored, or why it would not.
type verdict struct {
	Pod    json.RawMessage `json:"pod,omitempty"`
	Denied string          `json:"denied,omitempty"`
}

// cluster is what the two admission plugins believe to be one.
type cluster struct {
	context    context.Context
	mutating   *mutating.Plugin
	validating *validating.Plugin
	interfaces admission.ObjectInterfaces
}

// admit takes a JSON list of requests and gives a list of verdicts.
func admit(files []string, input []byte) (any, error) {
	var requests []request
	if err := json.Unmarshal(input, &requests); err != nil {
		return nil, err
	}
	objects, err := read(files)
	if err != nil {
		return nil, err
	}
	for i, one := range requests {
		labels := map[string]string{"kubernetes.io/metadata.name": name(i)}
		for key, value := range one.Labels {
			labels[key] = value
		}
		objects = append(objects, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: name(i), Labels: labels}})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	made, err := start(ctx, objects)
	if err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(requests))
	for i, one := range requests {
		if verdicts[i], err = made.create(one.Pod, name(i)); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	return verdicts, nil
}

func name(i int) string {
	return fmt.Sprintf("namespace-%d", i)
}

// read gives the policies, bindings and parameters of files.
func read(files []string) ([]runtime.Object, error) {
	var found []runtime.Object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parts, err := documents(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, part := range parts {
			object, err := decode(part)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			found = append(found, object)
		}
	}
	return found, nil
}

func start(ctx context.Context, objects []runtime.Object) (*cluster, error) {
	client := client{fake.NewClientset(objects...)}
	dynamic := dynamicfake.NewSimpleDynamicClient(legacyscheme.Scheme, objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mutator, err := mutating.NewPlugin(nil)
	if err != nil {
		return nil, err
	}
	validator, err := validating.NewPlugin(nil)
	if err != nil {
		return nil, err
	}
	general := initializer.New(client, dynamic, factory,
		authorizerfactory.NewAlwaysAllowAuthorizer(), utilfeature.DefaultFeatureGate, nil, ctx.Done(), mapper)
	for _, plugin := range []interface {
		admission.Interface
		admission.InitializationValidator
	}{mutator, validator} {
		general.Initialize(plugin)
		if err := plugin.ValidateInitialization(); err != nil {
			return nil, err
		}
	}
	mutator.SetEnabled(true)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return &cluster{ctx, mutator, validator,
		admission.NewObjectInterfacesFromScheme(legacyscheme.Scheme)}, nil
}

// create is what the API server does between decoding and storing, as far as policies go.
func (c *cluster) create(text []byte, namespace string) (verdict, error) {
	object, err := decode(text)
	if err != nil {
		return verdict{}, err
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return verdict{}, fmt.Errorf("it is a %T", object)
	}
	pod.Namespace = namespace
	converted, err := internal(pod)
	if err != nil {
		return verdict{}, err
	}
	attributes := admission.NewAttributesRecord(converted, nil,
		corev1.SchemeGroupVersion.WithKind("Pod"), namespace, pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create,
		&metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "system:test"})
	if err := c.mutating.Admit(c.context, attributes, c.interfaces); err != nil {
		return verdict{Denied: err.Error()}, nil
	}
	if err := c.validating.Validate(c.context, attributes, c.interfaces); err != nil {
		return verdict{Denied: err.Error()}, nil
	}
	stored, err := legacyscheme.Scheme.ConvertToVersion(attributes.GetObject(),
		corev1.SchemeGroupVersion)
	if err != nil {
		return verdict{}, err
	}
	out, err := json.Marshal(stored)
	return verdict{Pod: out}, err
}

// client adds to the fake one what the mutating plugin asks of every client: a schema, which none
// of our patches needs.
type client struct{ *fake.Clientset }

func (c client) Discovery() discovery.DiscoveryInterfaces {
	return noSchema{c.Clientset.Discovery()}
}

type noSchema struct{ discovery.DiscoveryInterfaces }

func (noSchema) OpenAPIV3() openapi.Client { return schemaless{} }

type schemaless struct{}

func (schemaless) Paths() (map[string]openapi.GroupVersion, error) {
	return map[string]openapi.GroupVersion{"api/v1": schemaless{}}, nil
}

func (schemaless) Schema(string) ([]byte, error) {
	return []byte(`{"openapi":"3.0.0","components":{"schemas":{}}}`), nil
}

func (schemaless) ServerRelativeURL() string { return "/openapi/v3/api/v1" }
