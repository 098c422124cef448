{{/* Environment of every Django process that doesn't differ from pod to pod. */}}
{{- define "evalai.environment" -}}
DJANGO_SETTINGS_MODULE: settings.ai4h
ENVIRONMENT: {{ .Values.environment | quote }}
EVALAI_API_SERVER: {{ printf "https://%s" .Values.host | quote }}
API_HOST_URL: {{ printf "https://%s" .Values.host | quote }}
MEMCACHED_LOCATION: {{ printf "%s-memcached:11211" (include "evalai.name" .) | quote }}
MAX_UPLOAD_MIB: {{ .Values.maxUploadMib | quote }}
DEFAULT_FROM_EMAIL: {{ .Values.aws.emailSender | quote }}
RDS_HOSTNAME: {{ .Values.database.host | quote }}
RDS_PORT: {{ .Values.database.port | quote }}
RDS_DB_NAME: {{ .Values.database.name | quote }}
RDS_USERNAME: {{ .Values.database.user | quote }}
RDS_PASSWORD_FILE: /var/run/secrets/evalai/RDS_PASSWORD
AWS_DEFAULT_REGION: {{ .Values.aws.region | quote }}
AWS_ACCOUNT_ID: {{ .Values.aws.accountId | quote }}
AWS_STORAGE_BUCKET_NAME: {{ .Values.aws.mediaBucket | quote }}
AWS_STS_REGIONAL_ENDPOINTS: regional
AWS_EC2_METADATA_DISABLED: "true"
# Without the regional address S3 redirects, which breaks signed links.
AWS_ENDPOINT_URL_S3: {{ printf "https://s3.%s.amazonaws.com" .Values.aws.region | quote }}
CELERY_QUEUE_NAME: {{ .Values.aws.celeryQueue | quote }}
HOME: /tmp
PYTHONDONTWRITEBYTECODE: "1"
{{- end }}

{{- define "evalai.settings" -}}
ai4h.py: |
{{ .Files.Get "settings/ai4h.py" | indent 2 }}
postgresql.py: |
{{ .Files.Get "settings/ai4h_postgresql/base.py" | indent 2 }}
{{- end }}

{{/* Container fields of a Django process: (dict "root" $ "config" name of its ConfigMap). */}}
{{- define "evalai.django" -}}
envFrom:
  - configMapRef: {name: {{ .config }}-environment}
env:
  # Kubernetes presets it to the pod's name; EvalAI means its public host by it.
  - name: HOSTNAME
    value: {{ .root.Values.host | quote }}
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  {{- range prepend .root.Values.secrets.environment "SECRET_KEY" }}
  - name: {{ . }}
    valueFrom: {secretKeyRef: {name: {{ $.secret }}, key: {{ . }}}}
  {{- end }}
  {{- with .environment }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: settings, mountPath: /code/settings/ai4h.py, subPath: ai4h.py, readOnly: true}
  - name: settings
    mountPath: /code/settings/ai4h_postgresql/base.py
    subPath: postgresql.py
    readOnly: true
  # A folder, not a sub-path: only that follows a rotated password.
  - {name: password, mountPath: /var/run/secrets/evalai, readOnly: true}
{{- end }}

{{/* Volumes of a Django pod: (dict "config" … "secret" … "tmp" size limit). */}}
{{- define "evalai.djangoVolumes" -}}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: {{ .tmp }}}
  - name: settings
    configMap: {name: {{ .config }}-settings}
  - name: password
    secret:
      secretName: {{ .secret }}
      defaultMode: 0440
      items: [{key: RDS_PASSWORD, path: RDS_PASSWORD}]
{{- end }}
