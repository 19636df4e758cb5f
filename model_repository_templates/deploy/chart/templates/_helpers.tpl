{{/* The release's name, once. */}}
{{- define "corntriton.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* A role's objects: (list $ role name). */}}
{{- define "corntriton.role" -}}
{{- printf "%s-%s" (include "corntriton.name" (index . 0)) (index . 1) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What selects all pods of the release. */}}
{{- define "corntriton.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "corntriton.labels" -}}
{{ include "corntriton.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image: (dict "root" $ "role" role). */}}
{{- define "corntriton.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .role.image }}
{{- if .role.digest }}@{{ .role.digest }}{{ else }}:{{ .role.tag }}{{ end }}
{{- end }}

{{/* What PromQL selects a role's series by: (list $ role name). */}}
{{- define "corntriton.series" -}}
namespace="{{ (index . 0).Release.Namespace }}",role="{{ index . 1 }}"
{{- end }}
