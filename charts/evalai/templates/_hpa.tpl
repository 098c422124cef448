{{/* Spec of an autoscaler by CPU: (list $ "web" .Values.web.hpa). */}}
{{- define "evalai.hpaSpec" -}}
{{- $hpa := index . 2 -}}
scaleTargetRef:
  apiVersion: apps/v1
  kind: Deployment
  name: {{ include "evalai.name" (index . 0) }}-{{ index . 1 }}
minReplicas: {{ $hpa.minReplicas }}
maxReplicas: {{ $hpa.maxReplicas }}
metrics:
  - type: Resource
    resource:
      name: cpu
      target: {type: Utilization, averageUtilization: {{ $hpa.cpuPercent }}}
behavior:
  scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}
