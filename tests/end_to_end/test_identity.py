"""What backends are told of who asks: Forwarded (RFC 7239) and the trace (W3C Trace Context)."""
from backend import answer, in_turn, reset_after_reading
from harness import EndToEnd, route
from wire import wait_until

TRACE = '0af7651916cd43dd8448eb211c80319c'
PARENT = f'00-{TRACE}-b7ad6b7169203331-01'


class Forwarded(EndToEnd):
    def told(self, fields):
        self.request('GET', '/x', fields)
        return self.backend.seen('/x')[-1].all('Forwarded')

    def test_our_element_follows_those_of_a_trusted_proxy(self):
        self.serve(forwarded=True)
        own = 'for=127.0.0.1;host=raincheck.test;proto=http'
        self.assertEqual([own], self.told({}))
        self.assertEqual(['for="[2001:db8::1]", ' + own], self.told({'Forwarded': 'for="[2001:db8::1]"'}))
        self.assertEqual([own], self.told({'Forwarded': 'for="open'}))

    def test_what_others_say_is_replaced_with_the_setting(self):
        self.serve(forwarded=True, trusted_proxies=['10.0.0.0/8'])
        self.assertEqual(['for=127.0.0.1;host="a:81";proto=http'],
                         self.told({'Forwarded': 'for=6.6.6.6', 'Host': 'a:81'}))

    def test_what_others_say_is_dropped_without_it(self):
        self.serve(trusted_proxies=['10.0.0.0/8'])
        self.assertEqual([], self.told({'Forwarded': 'for=6.6.6.6'}))

    def test_a_job_tells_the_same(self):
        self.serve(forwarded=True)
        self.submit('/reports/1').wait()
        self.assertEqual(['for=127.0.0.1;host=raincheck.test;proto=http'], self.backend.seen()[-1].all('Forwarded'))


class Traces(EndToEnd):
    def test_every_attempt_of_a_job_carries_the_trace_and_the_log_names_it(self):
        self.serve(routes=[route(retry={'max_attempts': 2, 'backoff': '10ms'})])
        self.backend.on('/reports', in_turn(answer(502), answer(200)))
        self.submit(method='PUT', fields={'traceparent': PARENT, 'tracestate': 'a=1'}).wait()
        calls = self.backend.seen('/reports')
        self.assertEqual([(PARENT, 'a=1')] * 2, [(call.get('traceparent'), call.get('tracestate')) for call in calls])

        def lines():
            found = [line for line in self.proxy.access_log() if line.get('trace_id') == TRACE]
            return len(found) == 3 and found
        traced = wait_until(lines, 'three lines with the trace')
        self.assertEqual(['attempt', 'attempt', 'exchange'], sorted(line['event'] for line in traced))

    def test_a_plain_call_has_it_in_both_lines(self):
        self.serve()
        self.request('GET', '/x', {'traceparent': PARENT})
        wait_until(lambda: [line.get('trace_id') for line in self.proxy.access_log()] == [TRACE] * 2, 'both lines')

    def test_one_that_is_not_valid_is_dropped_with_its_state(self):
        self.serve()
        self.request('GET', '/x', {'traceparent': PARENT.upper(), 'tracestate': 'a=1'})
        call = self.backend.seen('/x')[-1]
        self.assertEqual(([], []), (call.all('traceparent'), call.all('tracestate')))

    def test_one_is_made_where_that_is_asked_for(self):
        self.serve(trace_context={'generate': True}, routes=[route()])
        self.backend.on('/reports', in_turn(reset_after_reading, answer(200)))
        self.submit(method='PUT').wait()
        made = {call.get('traceparent') for call in self.backend.seen('/reports')}
        self.assertEqual(1, len(made), made)
        self.assertRegex(made.copy().pop(), r'\A00-[0-9a-f]{32}-[0-9a-f]{16}-01\Z')
        trace = made.pop().split('-')[1]
        wait_until(lambda: len([line for line in self.proxy.access_log() if line.get('trace_id') == trace]) == 3,
                   'the trace in the log')
        self.request('GET', '/x', {'traceparent': PARENT})
        self.assertEqual(PARENT, self.backend.seen('/x')[-1].get('traceparent'))
        self.request('GET', '/named', {'traceparent': PARENT, 'Connection': 'traceparent'})
        made = self.backend.seen('/named')[-1].get('traceparent')
        self.assertNotIn(made, (None, PARENT))
        wait_until(lambda: any(line.get('trace_id') == made.split('-')[1] for line in self.proxy.access_log()),
                   'the trace in the log')
