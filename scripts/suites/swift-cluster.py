"""A one-disk OpenStack Swift with its S3 interface, for suites that need an S3 service of other makers.

    swift-cluster.py run DIRECTORY PORT REGION    writes the configuration, starts all servers, stays
    swift-cluster.py serve KIND DIRECTORY         one server, started by `run`

`run` writes DIRECTORY/ready with the lines that a suite needs once a signed request has been
answered, and ends its servers (no others) on SIGTERM. Debian's packages python3-swift and memcached
must be there, and DIRECTORY must be on a file system with user attributes.
"""
import datetime
import getpass
import hashlib
import hmac
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

HOST = '127.0.0.1'
ACCESS_KEY, SECRET_KEY, DENIED_ACCESS_KEY = 'suite:writer', 'writer-secret', 'suite:nobody'
STORAGE = ('account', 'container', 'object')
READY_TIMEOUT_S = 60

# The order is Swift's own: s3api before the authentication that it feeds, the rest around both.
PIPELINE = ('catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy '
            'slo dlo versioned_writes symlink')
FILTERS = {
    's3api': 'location = {region}\ns3_acl = false\nmax_upload_part_num = 10000\nmin_segment_size = 5242880',
    'tempauth': 'user_suite_writer = writer-secret .admin\nuser_suite_nobody = writer-secret',
    'cache': 'memcache_servers = %s:{memcached}' % HOST,
    'slo': 'max_manifest_segments = 10000\nmax_manifest_size = 8388608',
    'versioned_writes': 'allow_versioned_writes = true\nallow_object_versioning = true',
}
EGGS = {'cache': 'memcache'}
COMMON = '''[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {directory}
devices = {directory}/disks
mount_check = false
fallocate_reserve = 0
workers = 0
log_level = WARNING
log_address = {directory}/no-syslog
conn_timeout = 10
node_timeout = 60
client_timeout = 20
'''


def main():
    command = sys.argv[1:2]
    if command == ['run'] and len(sys.argv) == 5:
        run(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif command == ['serve'] and len(sys.argv) == 4:
        serve(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


def serve(kind, directory):
    from swift.common import utils
    from swift.common.wsgi import run_wsgi
    utils.set_swift_dir(directory)
    sys.exit(run_wsgi(configuration_path(directory, kind), kind + '-server'))


def run(directory, port, region):
    ports = free_ports((*STORAGE, 'memcached'))
    configure(directory, port, region, ports)
    commands = {'memcached': ['memcached', '-u', getpass.getuser(), '-l', HOST, '-U', '0',
                              '-p', str(ports['memcached'])]}
    for kind in (*STORAGE, 'proxy'):
        commands[kind] = [sys.executable, os.path.abspath(__file__), 'serve', kind, directory]
    children = {name: start(directory, name, command) for name, command in commands.items()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        await_readiness(port, region, children)
        with open(os.path.join(directory, 'ready.part'), 'w') as file:
            file.write(f'ENDPOINT=http://{HOST}:{port}\nACCESS_KEY={ACCESS_KEY}\n'
                       f'SECRET_KEY={SECRET_KEY}\nREGION={region}\n'
                       f'DENIED_ACCESS_KEY={DENIED_ACCESS_KEY}\n')
        os.rename(os.path.join(directory, 'ready.part'), os.path.join(directory, 'ready'))
        while True:
            signal.pause()
    finally:
        stop(children)


def start(directory, name, command):
    log = open(os.path.join(directory, name + '.log'), 'wb')
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def stop(children):
    for child in children.values():
        child.terminate()
    for child in children.values():
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_ports(names):
    """All are held at once, so that none is given twice."""
    sockets = {}
    for name in names:
        sockets[name] = socket.socket()
        sockets[name].bind((HOST, 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


def configuration_path(directory, kind):
    return os.path.join(directory, kind + '-server.conf')


def configure(directory, port, region, ports):
    os.makedirs(os.path.join(directory, 'disks', 'd1'))
    write(os.path.join(directory, 'swift.conf'),
          f'[swift-hash]\nswift_hash_path_suffix = {uuid.uuid4().hex}\n'
          f'swift_hash_path_prefix = {uuid.uuid4().hex}\n'
          '[storage-policy:0]\nname = only\ndefault = yes\n'
          # S3 allows 2 KiB of metadata in one value; the headers around it need more room too.
          '[swift-constraints]\nmax_header_size = 16384\nmax_meta_value_length = 2048\n')
    for kind in STORAGE:
        # A slow machine would put listings off for later otherwise, when nobody updates them.
        extra = 'container_update_timeout = 30\n' if kind == 'object' else ''
        write(configuration_path(directory, kind),
              common(directory, ports[kind]) +
              f'[pipeline:main]\npipeline = {kind}-server\n'
              f'[app:{kind}-server]\nuse = egg:swift#{kind}\n{extra}')
        write_ring(directory, kind, ports[kind])
    values = {'region': region, 'memcached': ports['memcached']}
    sections = ''.join(
        f'[filter:{name}]\nuse = egg:swift#{EGGS.get(name, name)}\n'
        f'{FILTERS.get(name, "").format(**values)}\n' for name in PIPELINE.split())
    write(configuration_path(directory, 'proxy'),
          common(directory, port) +
          f'[pipeline:main]\npipeline = {PIPELINE} proxy-server\n'
          '[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n' + sections)


def common(directory, port):
    return COMMON.format(host=HOST, port=port, user=getpass.getuser(), directory=directory)


def write_ring(directory, kind, port):
    from swift.common.ring import RingBuilder
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({'region': 1, 'zone': 1, 'ip': HOST, 'port': port, 'replication_ip': HOST,
                     'replication_port': port, 'device': 'd1', 'weight': 1.0, 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(os.path.join(directory, kind + '.ring.gz'))


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def await_readiness(port, region, children):
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        for name, child in children.items():
            if child.poll() is not None:
                sys.exit(f'{name} ended early; see its log')
        try:
            if list_buckets(port, region) == 200:
                return
        except OSError:
            pass  # It does not listen yet.
        if time.monotonic() > deadline:
            sys.exit(f'not ready after {READY_TIMEOUT_S} s; see the logs')
        time.sleep(0.1)


def list_buckets(port, region):
    """The status of a signed GET /, which needs every server."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
    empty = hashlib.sha256(b'').hexdigest()
    headers = {'host': f'{HOST}:{port}', 'x-amz-content-sha256': empty, 'x-amz-date': now}
    names = ';'.join(headers)
    canonical = '\n'.join(['GET', '/', '', *(f'{name}:{value}' for name, value in headers.items()),
                           '', names, empty])
    scope = f'{now[:8]}/{region}/s3/aws4_request'
    text = f'AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}'
    key = ('AWS4' + SECRET_KEY).encode()
    for part in (*scope.split('/'), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers['authorization'] = (f'AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, '
                                f'SignedHeaders={names}, Signature={key.hex()}')
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request('GET', '/', headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == '__main__':
    main()
