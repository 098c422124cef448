{{/* Spec of an ExternalSecret that makes the Secret of the given name: (dict "root" $ "secret" name). */}}
{{- define "evalai.externalSecretSpec" -}}
{{- $secrets := .root.Values.secrets }}
{{- $external := $secrets.externalSecrets -}}
refreshInterval: {{ $external.refreshInterval }}
secretStoreRef: {kind: {{ $external.store.kind }}, name: {{ $external.store.name }}}
target: {name: {{ .secret }}, creationPolicy: Owner, deletionPolicy: Retain}
data:
  - secretKey: RDS_PASSWORD
    remoteRef: {key: {{ $external.database | quote }}, property: password}
  {{- range prepend $secrets.environment "SECRET_KEY" }}
  - secretKey: {{ . }}
    remoteRef: {key: {{ $external.application | quote }}, property: {{ . }}}
  {{- end }}
{{- end }}
