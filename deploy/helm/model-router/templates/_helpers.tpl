{{- define "model-router.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "model-router.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "model-router.labels" -}}
{{ include "model-router.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "model-router.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end -}}

{{- define "model-router.policy" -}}
{{- if .Values.policy.existingConfigMap -}}{{ .Values.policy.existingConfigMap }}
{{- else -}}{{ include "model-router.name" . }}-policy
{{- end -}}
{{- end -}}

{{- define "model-router.keys" -}}
{{- if .Values.keys.existingSecret -}}{{ .Values.keys.existingSecret }}
{{- else if .Values.keys.values -}}{{ include "model-router.name" . }}-keys
{{- end -}}
{{- end -}}

{{- define "model-router.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What the router's container has in both modes. */}}
{{- define "model-router.router" -}}
name: router
image: {{ include "model-router.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
ports:
  {{- if eq .Values.mode "shared" }}
  - { name: ext-proc, containerPort: 18000 }
  {{- end }}
  - { name: metrics, containerPort: 9464 }
{{- $probe := printf "periodSeconds: %v\ntimeoutSeconds: %v" .Values.probes.periodSeconds .Values.probes.timeoutSeconds }}
startupProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 1
  failureThreshold: 30
  timeoutSeconds: {{ .Values.probes.timeoutSeconds }}
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  {{- $probe | nindent 2 }}
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  {{- $probe | nindent 2 }}
  failureThreshold: {{ .Values.probes.failureThreshold }}
securityContext:
  {{- include "model-router.confined" . | nindent 2 }}
resources: {{ toJson .Values.resources }}
volumeMounts:
  - { name: run, mountPath: /run/model-router }
  - { name: policy, mountPath: /etc/model-router, readOnly: true }
  {{- if include "model-router.keys" . }}
  - { name: keys, mountPath: /run/secrets/model-router, readOnly: true }
  {{- end }}
  {{- if eq .Values.mode "shared" }}
  - { name: tls, mountPath: /run/secrets/tls, readOnly: true }
  {{- end }}
{{- end -}}
