package peers

import (
	"fmt"

	"hybridlab/peers/agent"
)

// suricata is Suricata as an IPS: it decides about every packet that its
// container forwards, and does so for all cells of the container, whose
// connections are told apart by their addresses. A hello in the server's name
// may pass; dropped says which other packets may not. It is ready after 200 to
// 600 ms, with up to a second of CPU.
//
// It needs NET_ADMIN, for the rule that queues packets and for the queue. Its
// router's redirects go nowhere: packets come and go by one interface.
func suricata(dropped string) *agent.Command {
	return &agent.Command{
		Argv: []string{"sh", "{dir}/start.sh", "{dir}"},
		Files: map[string][]byte{
			"start.sh": []byte(`queue() {
  iptables-$1 -A FORWARD -p tcp -j NFQUEUE --queue-num 0 &&
  ip6tables-$1 -A FORWARD -p tcp -j NFQUEUE --queue-num 0 &&
  iptables-$1 -A OUTPUT -p icmp --icmp-type redirect -j DROP &&
  ip6tables-$1 -A OUTPUT -p icmpv6 --icmpv6-type redirect -j DROP
}
queue nft || queue legacy || exit
exec suricata -q 0 -c suricata.yaml -S ips.rules -l "$1"
`),
			"suricata.yaml": []byte(`%YAML 1.1
---
stats:
  enabled: no
outputs: []
logging:
  outputs:
    - console:
        enabled: yes
app-layer:
  protocols:
    tls:
      enabled: yes
nfq:
  mode: accept
classification-file: /etc/suricata/classification.config
reference-config-file: /etc/suricata/reference.config
`),
			"ips.rules": fmt.Appendf(nil, `pass tls any any -> any any (tls.sni; content:"%s"; nocase; startswith; endswith; flow:to_server; sid:1;)
drop tls any any -> any any (%sflow:to_server; sid:2;)
`, ServerName, dropped),
		},
		Ready: "ngine started", // the capital is new
	}
}
