package acceptance

// Patterns of values.
const (
	anything = `(?s).*`
	yesOrNo  = `true|false`
	dnsName  = `[a-z0-9]([-a-z0-9.]*[a-z0-9])?`
	duration = `[0-9]+(\.[0-9]+)?(s|m|h)`
)

// kubernetesFields are the fields, from the definitions of the kinds (Vault Secrets Operator 1.0, External Secrets 1.0,
// the annotations of vault-k8s 1.7), with what their values may be. Paths and values are regular expressions.
var kubernetesFields = map[string]map[string]string{
	"v1 ServiceAccount": {"apiVersion|kind": anything, "metadata/name": dnsName},
	"v1 ConfigMap":      {"apiVersion|kind": anything, "metadata/name": dnsName, "data/[-._a-zA-Z0-9]+": anything},
	"apps/v1 Deployment": {
		"apiVersion|kind": anything, "metadata/name": dnsName,
		"spec/replicas":                      `[0-9]+`,
		"spec/selector/matchLabels/app":      dnsName,
		"spec/template/metadata/labels/app":  dnsName,
		"spec/template/spec/containers/name": dnsName, "spec/template/spec/containers/image": `[a-z0-9./-]+:[a-zA-Z0-9._-]+`,
		"spec/template/spec/containers/securityContext/runAsUser": `[0-9]+`,
		"spec/template/spec/containers/ports/containerPort":       `[0-9]+`,
		"spec/template/spec/containers/volumeMounts/name":         dnsName,
		"spec/template/spec/containers/volumeMounts/mountPath":    `/.+`,
		"spec/template/spec/serviceAccountName":                   dnsName,
		"spec/template/spec/volumes/name":                         dnsName,
		"spec/template/spec/volumes/configMap/name":               dnsName,
		annotation + "role":                                       anything,
		annotation + "agent-inject":                               yesOrNo,
		annotation + "(agent-share-process-namespace|agent-run-as-same-user|template-config-exit-on-retry-failure)": yesOrNo,
		annotation + "agent-inject-(secret|command|template)-[-.a-z0-9]+":                                           anything,
		annotation + "agent-inject-perms-[-.a-z0-9]+":                                                               `0[0-7]{3}`,
	},
	"secrets.hashicorp.com/v1beta1 VaultAuth": {
		"apiVersion|kind": anything, "metadata/name": dnsName,
		"spec/method": "kubernetes|jwt|appRole|aws|gcp",
		"spec/(mount|namespace|vaultConnectionRef)":     anything,
		"spec/kubernetes/(role|serviceAccount)":         dnsName,
		"spec/kubernetes/audiences":                     anything,
		"spec/kubernetes/tokenExpirationSeconds":        `[0-9]{3,}`,
		"spec/(allowedNamespaces|headers/.+|params/.+)": anything,
	},
	"secrets.hashicorp.com/v1beta1 VaultDynamicSecret": {
		"apiVersion|kind": anything, "metadata/name": dnsName,
		"spec/(mount|path|namespace|vaultAuthRef)":                    `[^/].*[^/]`,
		"spec/params/[a-z_]+":                                         anything,
		"spec/requestHTTPMethod":                                      "GET|POST|PUT",
		"spec/refreshAfter":                                           duration,
		"spec/renewalPercent":                                         `[0-9]|[1-8][0-9]|90`,
		"spec/(allowStaticCreds|revoke)":                              yesOrNo,
		"spec/destination/name":                                       dnsName,
		"spec/destination/(create|overwrite)":                         yesOrNo,
		"spec/destination/type":                                       `kubernetes\.io/tls|Opaque`,
		"spec/destination/transformation/excludeRaw":                  yesOrNo,
		"spec/destination/transformation/(includes|excludes)":         anything,
		"spec/destination/transformation/templates/[^/]+/(name|text)": anything,
		"spec/rolloutRestartTargets/kind":                             `Deployment|DaemonSet|StatefulSet|argo\.Rollout`,
		"spec/rolloutRestartTargets/name":                             dnsName,
	},
	"generators.external-secrets.io/v1alpha1 VaultDynamicSecret": {
		"apiVersion|kind": anything, "metadata/name": dnsName,
		"spec/path":                `[^/].*[^/]`,
		"spec/method":              "GET|LIST|POST|PUT",
		"spec/parameters/[a-z_]+":  anything,
		"spec/resultType":          "Data|Auth|Raw",
		"spec/allowEmptyResponse":  yesOrNo,
		"spec/provider/server":     `https://.+`,
		"spec/provider/(caBundle)": anything,
		"spec/provider/auth/kubernetes/(mountPath|role)":       anything,
		"spec/provider/auth/kubernetes/serviceAccountRef/name": dnsName,
	},
	"external-secrets.io/v1 ExternalSecret": {
		"apiVersion|kind": anything, "metadata/name": dnsName,
		"spec/refreshInterval":                                        duration,
		"spec/refreshPolicy":                                          "CreatedOnce|Periodic|OnChange",
		"spec/target/name":                                            dnsName,
		"spec/target/creationPolicy":                                  "Owner|Orphan|Merge|None",
		"spec/target/deletionPolicy":                                  "Delete|Merge|Retain",
		"spec/target/template/type":                                   `kubernetes\.io/tls|Opaque`,
		"spec/target/template/engineVersion":                          "v2",
		"spec/target/template/data/[-._a-z]+":                         anything,
		"spec/dataFrom/sourceRef/generatorRef/(apiVersion|kind|name)": anything,
	},
}

// annotation is where the annotations of the agent injector are.
const annotation = `spec/template/metadata/annotations/vault\.hashicorp\.com/`
