"""A new configuration in place: what changes at once, what goes on, what is refused."""
import json
import os
import signal
import socket
import threading

from backend import Backend, Gate, answer, echo
from harness import EndToEnd, Job, route
from program import run
from wire import Client, Truncated, request, request_bytes, wait_until


class Reload(EndToEnd):
    def reload(self, *arguments, **sections):
        self.assertTrue(self.proxy.reload(self.config(*arguments, **sections)), self.proxy.log())

    def refused(self, config):
        self.assertFalse(self.proxy.reload(config))
        return self.proxy.log()

    def test_routes_change_for_connections_that_are_open(self):
        self.serve(default_upstream=None)
        self.backend.on('/', echo)
        client = self.client()
        self.assertEqual(404, client.request('POST', '/new/1', (), b'x').status)
        before = self.submit(body=b'before')
        self.reload([route('/new/*')], default_upstream=None)
        self.assertEqual(202, client.request('POST', '/new/1', (), b'x').status)
        self.assertEqual(404, client.request('POST', '/reports/1', (), b'x').status)
        self.assertEqual(b'before', before.wait().result().body)

    def test_a_wrong_configuration_is_told_and_changes_nothing(self):
        self.serve()
        self.backend.on('/', echo)
        log = self.refused('routes: [{match: /a, upstream: nowhere}]\nupstream: {}\n')
        path = self.proxy.config_path
        self.assertIn(f"error {path}:1:32: error: routes[0].upstream: there is no upstream 'nowhere'", log)
        self.assertIn(f"error {path}:2:1: error: upstream: unknown key 'upstream'; did you mean 'upstreams'?", log)
        self.assertEqual(b'kept', self.result_of(body=b'kept').body)
        os.remove(path)
        log = self.refused(None)
        self.assertIn(f'error {path}: error: the file cannot be read: No such file or directory', log)
        self.assertNotIn('cannot be changed', log)
        self.assertEqual(b'kept', self.result_of(body=b'kept').body)
        self.reload()

    def test_what_is_read_at_the_start_only_is_refused_in_words(self):
        self.serve()
        for path, wrong in (('store.directory', {'store': {'directory': self.folder + '/other'}}),
                            ('store.max_bytes', {'store': {'max_bytes': '1GiB'}}),
                            ('log.format', {'log': {'format': 'json'}}),
                            ('access_log.output', {'access_log': {'output': 'none'}})):
            with self.subTest(path):
                log = self.refused(self.config(**wrong))
                self.assertIn(f'error: {path}: cannot be changed while serving', log)

    def test_an_address_that_is_taken_is_refused(self):
        self.serve()
        with socket.create_server(('127.0.0.1', 0)) as taken:
            address = '127.0.0.1:%d' % taken.getsockname()[1]
            config = self.config(listeners=[{'address': '127.0.0.1:0'}, {'address': address}])
            self.assertIn(f'error: {address}: bind: Address already in use', self.refused(config))
        self.assertEqual(200, self.request('GET', '/x').status)

    def test_calls_under_way_end_as_they_began(self):
        self.serve([route('/reports/*', response_headers={'set': {'X-Made-By': 'old'}})])
        plain, slow = self.backend.on('/plain', Gate(echo)), self.backend.on('/reports', Gate(echo))
        client = self.client()
        client.send(request_bytes('POST', '/plain', (), b'plain'))
        job = self.submit(body=b'job')
        self.wait_for_calls(plain)
        self.wait_for_calls(slow)
        self.reload([route('/reports/*', response_headers={'set': {'X-Made-By': 'new'}})])
        slow.open()
        plain.open()
        self.assertEqual(b'plain', client.answer('POST').body)
        self.assertEqual(b'job', job.wait().result().body)
        self.assertEqual('old', job.result().get('X-Made-By'))
        self.assertEqual('new', self.result_of().get('X-Made-By'))
        self.assertEqual(b'again', client.request('POST', '/plain', (), b'again').body)

    def test_a_limit_holds_across_both_and_what_waits_goes_on(self):
        self.serve(upstream={'max_concurrency': 2})
        gate = self.backend.on('/reports', Gate(echo))
        jobs = [self.submit(body=b'%d' % i) for i in range(6)]
        self.wait_for_calls(gate, 2)
        self.reload(upstream={'max_concurrency': 3})
        self.wait_for_calls(gate, 3)
        jobs.append(self.submit(body=b'6'))
        self.assertEqual(3, len(gate.entered))
        self.reload(upstream={'max_concurrency': 1})
        gate.open()
        self.assertEqual([b'%d' % i for i in range(7)], [job.wait().result().body for job in jobs])
        self.assertEqual(7, self.backend.count())
        self.assertLessEqual(self.backend.peak, 3)

    def test_what_waits_goes_to_the_new_server(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate(echo))
        running, queued = self.submit(body=b'running'), self.submit(body=b'queued')
        self.wait_for_calls(gate)
        other = Backend(os.path.join(self.folder, 'other.history'))
        self.addCleanup(other.stop)
        self.reload(upstream={'max_concurrency': 1, 'servers': [other.url]})
        gate.open()
        self.assertEqual(b'running', running.wait().result().body)
        queued.wait()
        self.assertEqual((1, 1), (self.backend.count('/reports'), other.count('/reports')))

    def test_jobs_of_what_is_removed(self):
        other = [route('/reports/*'), route('/other/*', 'other'), route('/third/*'), route('/moves/*', 'other')]
        upstreams = {'legacy': {'servers': [self.backend.url], 'max_concurrency': 1},
                     'other': {'servers': [self.backend.url], 'max_concurrency': 1}}
        self.serve(other, upstreams=upstreams)
        gates = [self.backend.on(path, Gate(echo)) for path in ('/reports', '/other')]
        running = [self.submit(path, body=b'running') for path in ('/reports/1', '/other/1')]
        for gate in gates:
            self.wait_for_calls(gate)
        waiting = [self.submit(path) for path in ('/other/2', '/third/3', '/moves/4')]
        del upstreams['other']
        self.reload([route('/reports/*'), route('/moves/*')], upstreams=upstreams)
        log = self.proxy.log()
        self.assertIn('route /other/* is removed: 1 job that waits will end as route_removed', log)
        self.assertIn('route /third/* is removed: 1 job that waits will end as route_removed', log)
        self.assertIn('route /moves/* has another upstream: 1 job that waits will be called at legacy', log)
        self.assertEqual(['route_removed'] * 2, [job.ended() for job in waiting[:2]])
        for gate in gates:
            gate.open()
        self.assertEqual([b'running'] * 2, [job.wait().result().body for job in running])
        self.assertEqual(200, waiting[2].wait().result().status)
        self.assertEqual(3, self.backend.count())
        # ... and it may come back.
        upstreams['other'] = {'servers': [self.backend.url]}
        self.reload(other, upstreams=upstreams)
        self.assertEqual(b'back', self.submit('/other/4', body=b'back').wait().result().body)

    def test_a_route_goes_to_another_upstream_with_its_jobs(self):
        other = Backend(os.path.join(self.folder, 'other.history'))
        self.addCleanup(other.stop)
        retry = {'max_attempts': 5, 'backoff': '2s', 'max_backoff': '2s'}

        def at(upstream):
            changes = {'Authorization': f'Bearer for-{upstream}'}
            return [route('/reports/*', upstream, resend='always', retry=retry, request_headers={'set': changes})]
        upstreams = {'legacy': {'servers': [self.backend.url], 'max_concurrency': 1},
                     'other': {'servers': [other.url], 'max_concurrency': 1}}
        self.serve(at('legacy'), upstreams=upstreams)
        gate = self.backend.on('/reports', Gate(answer(502)))
        retried, queued = self.submit(body=b'retried'), [self.submit(body=b'%d' % i) for i in range(5)]
        self.wait_for_calls(gate)
        self.reload(at('other'), upstreams=upstreams)
        self.assertIn('route /reports/* has another upstream: 5 jobs that wait will be called at other', self.proxy.log())
        self.assertEqual([b'%d' % i for i in range(5)], [job.wait().result().body for job in queued])
        gate.open()
        self.assertEqual(b'retried', retried.wait().result().body)
        self.assertEqual((1, 6), (self.backend.count('/reports'), other.count('/reports')))
        self.assertEqual({'Bearer for-other'}, {call.get('Authorization') for call in other.requests})

    def test_retries_of_what_is_removed_end(self):
        retry = {'max_attempts': 5, 'backoff': '1h', 'max_backoff': '1h'}
        self.serve([route('/reports/*', 'gone', resend='always', retry=retry)],
                   upstreams={'gone': {'servers': [self.backend.url]}})
        self.backend.on('/reports', answer(502))
        job = self.submit()
        wait_until(lambda: job.document()['status'] == 'queued' and self.backend.count() == 1, 'a retry that waits')
        gate = self.backend.on('/reports', Gate(answer(502)))
        late = self.submit()
        self.wait_for_calls(gate)
        self.reload([route('/else/*')])
        self.assertEqual('route_removed', job.ended())
        gate.open()
        self.assertEqual('route_removed', late.ended())

    def test_listeners_come_and_go(self):
        path = os.path.join(self.folder, 'http.sock')
        first = {'address': '127.0.0.1:0'}
        self.serve(listeners=[first, {'address': f'unix:{path}'}])

        def on_unix():
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.settimeout(10)
            sock.connect(path)
            return sock
        gate = self.backend.on('/slow', Gate(echo))
        busy, idle = on_unix(), on_unix()
        busy.sendall(request_bytes('POST', '/slow', (), b'slow'))
        self.wait_for_calls(gate)
        self.reload(listeners=[first, {'address': '127.0.0.1:0', 'name': 'second'}])
        self.assertEqual(b'', idle.recv(1))
        gate.open()
        self.assertIn(b'slow', busy.recv(1 << 16))
        self.assertEqual(b'', busy.recv(1))
        with self.assertRaises(OSError):
            on_unix()
        for port in self.proxy.listening_ports():
            self.assertEqual(200, request(port, 'GET', '/x').status)

    def test_limits_of_listeners_change(self):
        self.serve()
        keep = self.client()
        self.assertEqual(200, keep.request('GET', '/x').status)
        self.reload(listeners=[{'address': '127.0.0.1:0', 'limits': {'connections': 1, 'body': '10B'}}])
        # The one that is open is the one that may be.
        self.assertEqual(503, self.client().answer().status)
        self.assertEqual(200, keep.request('GET', '/x').status)
        self.assertEqual(413, keep.request('POST', '/x', (), b'x' * 11).status)

    def test_a_secret_is_read_again(self):
        secret = os.path.join(self.folder, 'secret')

        def write(text):
            with open(secret, 'w', encoding='ascii') as file:
                file.write(text)
        write('one')
        routes = [route('/reports/*', request_headers={'set': {'X-Key': '${file:%s}' % secret}})]
        self.serve(routes)
        self.result_of()
        write('two')
        self.reload(routes)
        self.result_of()
        self.assertEqual(['one', 'two'], [each.get('X-Key') for each in self.backend.requests])

    def test_it_happens_by_itself_where_that_is_wanted(self):
        # As a mounted volume has it: the file stands behind a link that is swapped.
        self.serve(default_upstream=None, reload={'on_change': True})

        def publish(version, text):
            os.mkdir(os.path.join(self.folder, version))
            with open(os.path.join(self.folder, version, 'raincheck.yaml'), 'w', encoding='utf-8') as file:
                file.write(text)
            link = os.path.join(self.folder, 'next')
            os.symlink(version, link)
            os.rename(link, os.path.join(self.folder, 'current'))
        publish('v1', self.text(route('/one/*')))
        os.remove(self.proxy.config_path)
        os.symlink('current/raincheck.yaml', self.proxy.config_path)

        def takes(path):
            return lambda: self.request('POST', path, (), b'').status == 202
        wait_until(takes('/one/1'), 'the first')
        publish('v2', 'wrong')
        wait_until(lambda: 'is refused' in self.proxy.log(), 'a refusal')
        self.assertTrue(takes('/one/1')())
        publish('v3', self.text(route('/three/*')))
        wait_until(takes('/three/1'), 'the third')
        self.assertEqual(1, self.proxy.log().count('is refused'))

    def text(self, only):
        return json.dumps(self.config([only], default_upstream=None, reload={'on_change': True}))

    def test_the_log_level_changes(self):
        self.serve()
        self.reload(log={'level': 'error'})
        self.reload(log={'level': 'error'})
        self.assertEqual(0, self.proxy.log().count('is in force'))
        self.reload(log={'level': 'info'})
        self.reload(log={'level': 'info'})
        self.assertEqual(2, self.proxy.log().count('is in force'))

    def test_a_tunnel_goes_on(self):
        self.serve()

        def script(exchange):
            exchange.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
            for data in exchange.wire.rest():
                exchange.send(data)
            exchange.close()
        self.backend.on('/chat', script)
        client = self.client()
        client.send(b'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
        self.assertEqual(101, client.read_head().status)
        for i in range(3):
            self.reload()
            client.send(b'ping%d' % i)
            self.assertEqual(b'ping%d' % i, b''.join(client.pieces(5)))

    def test_none_is_lost_while_it_is_read_again_and_again(self):
        self.serve()
        self.backend.on('/', echo)
        stop, jobs, faults = threading.Event(), [], []

        def submit(number):
            with Client(self.proxy.port) as client:
                while not stop.is_set():
                    body = b'%d-%d' % (number, len(jobs))
                    try:
                        accepted = client.request('POST', '/reports/1', (), body)
                        plain = client.request('POST', '/plain', (), body)
                    except (OSError, Truncated) as error:
                        faults.append(error)
                        return
                    if (accepted.status, plain.status, plain.body) != (202, 200, body):
                        faults.append((accepted, plain))
                    jobs.append((body, Job(self.proxy, accepted)))
        threads = [threading.Thread(target=submit, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for i in range(40):
            self.reload([route('/reports/*', name=f'reports-{i % 2}'), route(f'/other-{i}/*')],
                        upstream={'max_concurrency': 1 + i % 5})
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual([], faults)
        ended = [(job.ended(), job.result().body == body) for body, job in jobs]
        # A job whose route has another name by the time that it is called has none.
        self.assertEqual([], [each for each in ended if each not in (('succeeded', True), ('route_removed', False))])
        self.assertIn(('succeeded', True), ended)

    def test_earlier_configurations_leave_no_memory(self):
        routes = [route(f'/reports-{i}/*', request_headers={'set': {'X': 'x' * 1000}}) for i in range(300)]
        self.serve(routes)
        keep = self.client()

        def again(count):
            for _ in range(count):
                self.reload(routes)
                self.assertEqual(200, keep.request('GET', '/x').status)
            return self.proxy.memory()
        before = again(15)
        self.assertLess(again(60), before + (8 << 20))

    def test_killed_after_it_the_jobs_are_there(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/new', Gate(echo))
        self.reload([route('PUT /new/*')], upstream={'max_concurrency': 1})
        jobs = [self.submit('/new/%d' % i, body=b'%d' % i, method='PUT') for i in range(3)]
        self.wait_for_calls(gate)
        self.proxy.kill()
        gate.open()
        self.proxy.start()
        self.assertEqual([b'0', b'1', b'2'], [job.wait().result().body for job in jobs])

    def test_it_is_refused_while_stopping(self):
        self.serve()
        gate = self.backend.on('/slow', Gate())
        client = self.client()
        client.send(request_bytes('GET', '/slow'))
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        wait_until(lambda: self.proxy.notified('STOPPING=1'), 'STOPPING=1')
        self.proxy.signal(signal.SIGHUP)
        wait_until(lambda: 'it is stopping' in self.proxy.log(), 'the log says so')
        self.assertFalse(self.proxy.notified('RELOADING=1'))
        gate.open()
        self.assertEqual(200, client.answer().status)
        self.assertEqual(0, self.proxy.wait())


class Requests(EndToEnd):
    def test_the_command_says_what_came_of_it(self):
        admin = {'socket': os.path.join(self.folder, 'admin.sock')}
        self.serve(admin=admin)
        self.proxy.configure(self.config([route('/new/*')], admin=admin))
        done = run('reload', '--config', self.proxy.config_path)
        self.assertEqual((0, 'the configuration is in force\n'), (done.returncode, done.stdout))
        self.assertIn('route /reports/* is removed', done.stderr)
        self.assertEqual(202, self.request('POST', '/new/1', (), b'').status)
        self.assertIn('POST /reload', self.proxy.log())

        self.proxy.configure(self.config([route('/third/*')], admin=admin))
        could = run('reload', '--dry-run', '--socket', admin['socket'])
        self.assertEqual((0, 'the configuration could come into force\n'), (could.returncode, could.stdout))
        self.assertIn('route /new/* is removed: 0 jobs that wait will end as route_removed', could.stderr)
        self.assertEqual(202, self.request('POST', '/new/1', (), b'').status)

        self.proxy.configure(self.config([route('/third/*', mode='sometimes')], admin=admin))
        refused = run('reload', '--socket', admin['socket'])
        self.assertEqual((78, ''), (refused.returncode, refused.stdout))
        self.assertIn("error: routes[0].async.mode: must be 'always'", refused.stderr)
        self.assertIn('is refused; the one before it goes on serving', refused.stderr)
        self.assertEqual(202, self.request('POST', '/new/1', (), b'').status)

        self.proxy.configure(self.config(admin={'socket': admin['socket'] + '2'}))
        moved = run('reload', '--socket', admin['socket'])
        self.assertEqual(78, moved.returncode)
        self.assertIn('admin.socket: cannot be changed while serving', moved.stderr)

        self.proxy.stop()
        gone = run('reload', '--socket', admin['socket'])
        self.assertEqual(69, gone.returncode)
        self.assertIn('not running', gone.stderr)

    def test_a_reload_needs_a_file(self):
        config = os.path.join(self.folder, 'raincheck.yaml')
        self.serve(wrapper=('sh', '-c', f'exec "$1" serve --config - <{config}', 'sh'))
        self.assertFalse(self.proxy.reload())
        self.assertIn('standard input', self.proxy.log())
        self.assertEqual(200, request(self.proxy.port, 'GET', '/x').status)
