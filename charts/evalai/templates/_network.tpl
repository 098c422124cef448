{{/* Rules of network policies. Nothing here reaches the instance metadata of a node. */}}
{{- define "evalai.egressDns" -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: kube-system}
      podSelector:
        matchLabels: {k8s-app: kube-dns}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* To ranges at a port: (list 443 .Values.networkPolicy.awsCidrs). */}}
{{- define "evalai.egressCidrs" -}}
{{- with index . 1 -}}
- to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
        {{- if eq . "0.0.0.0/0" }}
        except: [169.254.0.0/16]
        {{- end }}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ index $ 0 }}}
{{- end }}
{{- end }}

{{/* To the pods of a component at a port: (list $ "memcached" 11211). */}}
{{- define "evalai.egressPods" -}}
- to:
    - podSelector:
        matchLabels: {{- include "evalai.selector" . | nindent 10 }}
  ports:
    - {protocol: TCP, port: {{ index . 2 }}}
{{- end }}

{{/* What a Django process needs: names, database, cache, AWS. */}}
{{- define "evalai.egressDjango" -}}
{{ include "evalai.egressDns" . }}
{{ include "evalai.egressCidrs" (list .Values.database.port .Values.networkPolicy.databaseCidrs) }}
{{ include "evalai.egressPods" (list . "memcached" 11211) }}
{{ include "evalai.egressCidrs" (list 443 .Values.networkPolicy.awsCidrs) }}
{{- end }}

{{/* From beside the models to web. */}}
{{- define "evalai.egressWeb" -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}
      podSelector:
        matchLabels: {{- include "evalai.selector" (list . "web") | nindent 10 }}
  ports:
    - {protocol: TCP, port: 8000}
{{- end }}
