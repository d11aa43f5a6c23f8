# Take a lease by ifupdown from a DHCP server at the other end of a veth pair, which names the name servers $1; and again at boot.
set -eu
cat > /etc/dhcp-server.conf <<END
port=0
interface=dhcp1
bind-interfaces
dhcp-range=198.51.100.10,198.51.100.20,120
dhcp-option=option:router
dhcp-option=option:dns-server,$1
dhcp-authoritative
leasefile-ro
pid-file=/run/dhcp-server.pid
END
cat > /etc/network/interfaces <<END
auto dhcp0
iface dhcp0 inet dhcp
    pre-up ip link show dhcp0 >/dev/null 2>&1 || ip link add dhcp0 type veth peer name dhcp1
    pre-up ip address replace 198.51.100.1/24 dev dhcp1
    pre-up ip link set dhcp1 up
    pre-up ip link set dhcp0 up
    pre-up pkill -F /run/dhcp-server.pid 2>/dev/null || true
    pre-up dnsmasq --conf-file=/etc/dhcp-server.conf
END
ifdown --force dhcp0 || true
ifup dhcp0
