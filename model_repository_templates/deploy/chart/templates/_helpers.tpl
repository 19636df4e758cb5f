{{/* The release's name, once. */}}
{{- define "corntriton.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* A role's objects: (list $ role name). */}}
{{- define "corntriton.role" -}}
{{- printf "%s-%s" (include "corntriton.name" (index . 0)) (index . 1) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The Service by which other servers find a role's: (list $ role name). */}}
{{- define "corntriton.peers" -}}
{{- printf "%s-peers" (include "corntriton.role" . | trunc 57 | trimSuffix "-") }}
{{- end }}

{{/* CORNTRITON_SERVERS: where the servers of each role are; nothing where no role calls another. */}}
{{- define "corntriton.servers" -}}
{{- $found := list }}
{{- range $name, $role := .Values.roles }}
{{- with $role.server }}
{{- $found = append $found (printf "%s=%s.%s.svc:8001" . (include "corntriton.peers" (list $ $name)) $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- join "," $found }}
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
