package main

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/resolver"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
)

// Which resource a kind of parameters is, where there is no cluster to ask.
var guess = resolver.ResourceResolverFunc(
	func(kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
		plural, _ := meta.UnsafeGuessKindToResource(kind)
		return plural, nil
	})

// What the API server does when an object of a kind is created.
var strategies = map[string]rest.RESTCreateStrategy{
	"ConfigMap":                        configmap.Strategy,
	"CronJob":                          cronjob.Strategy,
	"DaemonSet":                        daemonset.Strategy,
	"Deployment":                       deployment.Strategy,
	"Job":                              job.Strategy,
	"MutatingAdmissionPolicy":          mutatingadmissionpolicy.NewStrategy(nil, guess),
	"MutatingAdmissionPolicyBinding":   mutatingadmissionpolicybinding.NewStrategy(nil, nil, guess),
	"MutatingWebhookConfiguration":     mutatingwebhookconfiguration.Strategy,
	"Namespace":                        namespace.Strategy,
	"NetworkPolicy":                    networkpolicy.Strategy,
	"Pod":                              pod.Strategy,
	"PodDisruptionBudget":              poddisruptionbudget.Strategy,
	"PodTemplate":                      podtemplate.Strategy,
	"ReplicaSet":                       replicaset.Strategy,
	"ReplicationController":            replicationcontroller.Strategy,
	"Service":                          service.Strategy,
	"ServiceAccount":                   serviceaccount.Strategy,
	"StatefulSet":                      statefulset.Strategy,
	"ValidatingAdmissionPolicy":        validatingadmissionpolicy.NewStrategy(nil, guess),
	"ValidatingAdmissionPolicyBinding": validatingadmissionpolicybinding.NewStrategy(nil, nil, guess),
}

// validate takes a JSON list of manifests and gives, for each, a list of what is wrong: sentences.
// A kind that is not in strategies is one of them.
func validate(input []byte) (any, error) {
	var manifests []string
	if err := json.Unmarshal(input, &manifests); err != nil {
		return nil, err
	}
	answers := make([][]string, len(manifests))
	for i, manifest := range manifests {
		answers[i] = []string{}
		objects, err := documents([]byte(manifest))
		if err != nil {
			answers[i] = append(answers[i], err.Error())
			continue
		}
		for _, object := range objects {
			answers[i] = append(answers[i], judge(object)...)
		}
	}
	return answers, nil
}

func judge(text []byte) []string {
	object, err := decode(text)
	if err != nil {
		return []string{err.Error()}
	}
	kind := object.GetObjectKind().GroupVersionKind().Kind
	if list, err := meta.ExtractList(object); err == nil {
		var found []string
		for _, item := range list {
			found = append(found, judgeItem(item)...)
		}
		return found
	}
	strategy, ok := strategies[kind]
	if !ok {
		return []string{"nothing here judges a " + kind}
	}
	return create(strategy, object, kind)
}

// judgeItem: what is in a list comes as it was written.
func judgeItem(item runtime.Object) []string {
	unknown, ok := item.(*runtime.Unknown)
	if !ok {
		return []string{fmt.Sprintf("a list holds a %T", item)}
	}
	return judge(unknown.Raw)
}

func create(strategy rest.RESTCreateStrategy, object runtime.Object, kind string) []string {
	converted, err := internal(object)
	if err != nil {
		return []string{err.Error()}
	}
	ctx := genericrequest.NewContext()
	if strategy.NamespaceScoped() {
		accessor, err := meta.Accessor(converted)
		if err != nil {
			return []string{err.Error()}
		}
		if accessor.GetNamespace() == "" {
			accessor.SetNamespace("default")
		}
		ctx = genericrequest.WithNamespace(ctx, accessor.GetNamespace())
	}
	version := object.GetObjectKind().GroupVersionKind()
	ctx = genericrequest.WithRequestInfo(ctx, &genericrequest.RequestInfo{IsResourceRequest: true,
		Verb: "create", APIGroup: version.Group, APIVersion: version.Version})
	before := converted.DeepCopyObject()
	strategy.PrepareForCreate(ctx, converted)
	found := sentences(kind, strategy.Validate(ctx, converted))
	if kind == "Pod" && dropped(before, converted) {
		found = append(found, "Pod: a field was dropped: its feature is not on")
	}
	return found
}

// dropped: fields of features that are not on are cleared without a word.
func dropped(before, after runtime.Object) bool {
	return !equality.Semantic.DeepEqual(before.(*core.Pod).Spec, after.(*core.Pod).Spec)
}

func sentences(kind string, errs field.ErrorList) []string {
	var found []string
	for _, err := range errs {
		found = append(found, kind+": "+err.Error())
	}
	return found
}
