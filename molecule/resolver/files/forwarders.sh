# Three more unbounds: 5354 asks without DO and so gets no signatures, 5355 hands on all that there is, and 5356 has two
# private zones, each below a zone that every unbound answers itself.
set -eu
serve() {
    pkill -F "/run/forward-$1.pid" 2>/dev/null || true
    cat > "/etc/unbound/forward-$1.conf" <<END
server:
    interface: 0.0.0.0@$1
    access-control: 0.0.0.0/0 allow
    pidfile: /run/forward-$1.pid
    root-hints: /etc/unbound/lab-root.hints
    module-config: iterator
    $2
END
    unbound -c "/etc/unbound/forward-$1.conf"
}
serve 5354 'disable-edns-do: yes'
serve 5355 ''
serve 5356 '
    local-zone: 1.168.192.in-addr.arpa. static
    local-data: "7.1.168.192.in-addr.arpa. PTR host.corp.home.arpa."
    local-zone: corp.home.arpa. static
    local-data: "host.corp.home.arpa. A 192.168.1.7"'
