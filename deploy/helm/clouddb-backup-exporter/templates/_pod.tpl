{{- define "exporter.podMetadata" -}}
labels:
  {{- merge (include "exporter.selectorLabels" . | fromYaml) .Values.podLabels | toYaml | nindent 2 }}
annotations:
  {{- merge (dict "checksum/config" (include "exporter.config" . | sha256sum)) .Values.podAnnotations | toYaml | nindent 2 }}
{{- end -}}

{{- define "exporter.podSpec" -}}
serviceAccountName: {{ include "exporter.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
# SIGTERM ends it within five seconds.
terminationGracePeriodSeconds: 10
dnsConfig:
  options:
    # The names of the cloud are whole. With the default of 5 each look-up first tries the search
    # domains of the cluster: six queries that fail.
    - name: ndots
      value: "1"
containers:
  - name: exporter
    image: {{ include "exporter.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      - --config.file=/etc/clouddb-backup-exporter/config.yaml
      {{- if .Values.web.existingSecret }}
      - --web.config.file=/etc/clouddb-backup-exporter-web/web.yaml
      {{- end }}
      - --log.level={{ .Values.log.level }}
      - --log.format={{ .Values.log.format }}
      {{- with .Values.extraArgs }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if or .Values.env (gt (int .Values.shards) 1) }}
    env:
      {{- if gt (int .Values.shards) 1 }}
      - name: CLOUDDB_SHARD_COUNT
        value: {{ .Values.shards | quote }}
      - name: POD_NAME
        valueFrom:
          fieldRef:
            fieldPath: metadata.name
      {{- end }}
      {{- with .Values.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
    ports:
      - name: metrics
        containerPort: 19747
        protocol: TCP
    livenessProbe:
      {{- include "exporter.probe" (list . "/-/healthy") | nindent 6 }}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      {{- include "exporter.probe" (list . "/-/ready") | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 5
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: config
        mountPath: /etc/clouddb-backup-exporter
        readOnly: true
      {{- if .Values.web.existingSecret }}
      - name: web
        mountPath: /etc/clouddb-backup-exporter-web
        readOnly: true
      {{- end }}
      {{- range $folder, $_ := .Values.secrets }}
      - name: secret-{{ $folder }}
        mountPath: /var/run/secrets/{{ $folder }}
        readOnly: true
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "exporter.fullname" . }}
  {{- with .Values.web.existingSecret }}
  - name: web
    {{- include "exporter.secretVolume" . | nindent 4 }}
  {{- end }}
  {{- range $folder, $secret := .Values.secrets }}
  - name: secret-{{ $folder }}
    {{- include "exporter.secretVolume" $secret | nindent 4 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if gt (int (max .Values.shards .Values.replicas)) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "exporter.selectorLabels" . | nindent 8 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* A Secret that is not there keeps the pod from starting, and its events say why. */}}
{{- define "exporter.secretVolume" -}}
secret:
  secretName: {{ . }}
  optional: false
  # 0440, for the group of the pod; in decimals, which every reader of YAML takes alike.
  defaultMode: 288
{{- end -}}

{{/* A kubelet has no client certificate to show. */}}
{{- define "exporter.probe" -}}
{{- $values := (index . 0).Values -}}
{{- if $values.web.clientCertificates -}}
tcpSocket:
  port: metrics
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: metrics
  {{- if $values.web.tls }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{- end -}}
