{{/* What the schema of the values cannot tell, or not in words that help. */}}
{{- define "exporter.refuse" -}}
{{- $config := .Values.config | default dict -}}
{{- $secrets := .Values.secrets | default dict -}}
{{- if not (and $config.credentials $config.projects) -}}
{{- fail "config: say what to poll: at least one entry each of `credentials` and `projects`; values.yaml has an example" -}}
{{- end -}}
{{- range $folder, $_ := $secrets -}}
  {{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,53}[a-z0-9])?$" $folder) -}}
    {{- fail (printf "secrets.%s: such a name is made of small letters, digits and `-`, 55 at most, since a volume is named by it" $folder) -}}
  {{- end -}}
{{- end -}}
{{- range $credential, $keys := $config.credentials -}}
  {{- range $key, $value := $keys -}}
    {{- if has $key (list "password" "access_key" "secret_key" "security_token") -}}
      {{- fail (printf "config.credentials.%s.%s: a secret does not belong in values, where everyone who reads the release or the ConfigMap sees it; put it in a Secret, name that in `secrets` (%s: NAME-OF-THE-SECRET), and write `%s_file: /var/run/secrets/%s/KEY`" $credential $key $credential $key $credential) -}}
    {{- end -}}
    {{- if and (hasSuffix "_file" $key) (kindIs "string" $value) (hasPrefix "/var/run/secrets/" $value) -}}
      {{- $folder := index (splitList "/" $value) 4 -}}
      {{- if not (or (hasKey $secrets $folder) $.Values.extraVolumeMounts) -}}
        {{- fail (printf "config.credentials.%s.%s: nothing is mounted at /var/run/secrets/%s; name its Secret in `secrets` (%s: NAME-OF-THE-SECRET)" $credential $key $folder $folder) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $project := $config.projects -}}
  {{- range $product := list "rds" "ddm" -}}
    {{- $block := index $project $product | default dict -}}
    {{- range $owner := prepend ($block.instances | default list) $block -}}
      {{- range $type, $age := $owner.max_age -}}
        {{- if kindIs "bool" $age -}}
          {{- fail (printf "config.projects: %s.max_age.%s of `%s`: Helm takes a bare `off` for false; write \"off\"" $product $type $project.name) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (gt (int .Values.shards) 1) (gt (int .Values.replicas) 1) -}}
{{- fail "shards and replicas: only one of them may be above 1; a StatefulSet has one pod for each shard" -}}
{{- end -}}
{{- if and (or .Values.web.tls .Values.web.clientCertificates) (not .Values.web.existingSecret) -}}
{{- fail "web.existingSecret: name the Secret with the `web.yaml` that turns on TLS; `tls` and `clientCertificates` only tell the chart what is in it" -}}
{{- end -}}
{{- if and .Values.web.clientCertificates (not .Values.web.tls) -}}
{{- fail "web.tls: there are no client certificates without TLS; set it to true" -}}
{{- end -}}
{{- if and .Values.web.clientCertificates (ne .Values.monitor.kind "none") (not (and .Values.monitor.tlsConfig.cert .Values.monitor.tlsConfig.keySecret)) -}}
{{- fail "monitor.tlsConfig: with `web.clientCertificates` Prometheus needs a certificate to show: set `cert` and `keySecret`" -}}
{{- end -}}
{{- if and .Values.monitor.tlsConfig (not .Values.web.tls) -}}
{{- fail "monitor.tlsConfig: it has no effect without `web.tls`" -}}
{{- end -}}
{{- end -}}
