# Two more unbounds: 5354 asks without DO and so gets no signatures, 5355 hands on all that there is.
set -eu
pkill -F /run/forward-5354.pid 2>/dev/null || true
pkill -F /run/forward-5355.pid 2>/dev/null || true
for port in 5354 5355; do
    [ "$port" = 5354 ] && dnssec='disable-edns-do: yes' || dnssec=''
    cat > "/etc/unbound/forward-$port.conf" <<END
server:
    interface: 0.0.0.0@$port
    access-control: 0.0.0.0/0 allow
    pidfile: /run/forward-$port.pid
    root-hints: /etc/unbound/lab-root.hints
    module-config: iterator
    $dnssec
END
    unbound -c "/etc/unbound/forward-$port.conf"
done
