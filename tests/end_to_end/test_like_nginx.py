"""Rewriting beside Debian's nginx: one backend, behind raincheck with response_headers and response_body.replace and
behind nginx with proxy_redirect, proxy_cookie_domain, proxy_cookie_path and sub_filter. What both are for comes out the
same; where they differ on purpose, both answers stand in a table with the reason."""
import gzip
import random

from backend import raw
from harness import EndToEnd, Job, route
from servers import Servers
from wire import chunked, request

ASYNC = {'Prefer': 'respond-async'}
HTML = {'Content-Type': 'text/html'}

SERVER = '''
server {
  listen 127.0.0.1:{port};
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  absolute_redirect off;
  LOCATIONS
}
'''

# The public /app/ is the backend's /legacy/, the backend's own host legacy.internal, the public one public.example.
HEADS = '''
location /app/ {
  proxy_pass http://BACKEND/legacy/;
  proxy_set_header Host legacy.internal;
  proxy_redirect http://BACKEND/legacy/ /app/;
  proxy_redirect http://legacy.internal/legacy/ /app/;
  proxy_redirect /legacy/ /app/;
  proxy_cookie_domain legacy.internal public.example;
  proxy_cookie_path /legacy /app;
}
'''
HEAD_ROUTE = route('/app/*', mode='prefer', rewrite={'host': 'legacy.internal', 'path': '/legacy/${path.*}'},
                   response_headers={'rewrite_cookies': {'domain': 'public.example', 'path': {'/legacy': '/app'}}})

# What the backend says, and what the client is told by both. Asked for: /app/here/a.
SAME = [
    ('Location', 'http://BACKEND/legacy/x', '/app/x'),
    ('Location', 'http://BACKEND/legacy/', '/app/'),
    ('Location', 'http://BACKEND/legacy/x?y=1#z', '/app/x?y=1#z'),
    ('Location', 'http://legacy.internal/legacy/x', '/app/x'),
    ('Location', '/legacy/x', '/app/x'),
    ('Location', '/legacy/x?back=http://BACKEND/legacy/y', '/app/x?back=http://BACKEND/legacy/y'),
    ('Location', '/other', '/other'),
    ('Location', '/legacyx', '/legacyx'),
    ('Location', 'http://other.example/legacy/x', 'http://other.example/legacy/x'),
    ('Location', 'http://legacy.internal:8080/legacy/x', 'http://legacy.internal:8080/legacy/x'),
    ('Location', 'http://legacy.internal.evil.example/legacy/x', 'http://legacy.internal.evil.example/legacy/x'),
    ('Location', 'http://user@BACKEND/legacy/x', 'http://user@BACKEND/legacy/x'),
    ('Location', 'https://BACKEND/legacy/x', 'https://BACKEND/legacy/x'),
    ('Location', '//evil.example/legacy/x', '//evil.example/legacy/x'),
    ('Location', 'mailto:ada@legacy.internal', 'mailto:ada@legacy.internal'),
    ('Location', '#part', '#part'),
    ('Location', '', ''),
    ('Refresh', '5; url=http://BACKEND/legacy/x', '5; url=/app/x'),
    ('Refresh', '5;URL=/legacy/x', '5;URL=/app/x'),
    ('Refresh', '5, url=/legacy/x', '5, url=/app/x'),
    ('Refresh', '0;url=http://other.example/', '0;url=http://other.example/'),
    ('Refresh', '5', '5'),
    ('Set-Cookie', 'a=b; Domain=legacy.internal; Path=/legacy', 'a=b; Domain=public.example; Path=/app'),
    ('Set-Cookie', 'a=b; path=/legacy/x; HttpOnly', 'a=b; path=/app/x; HttpOnly'),
    ('Set-Cookie', 'a=b; domain=LEGACY.internal', 'a=b; domain=public.example'),
    ('Set-Cookie', 'a=b; SameSite=Lax; Expires=Thu, 01 Jan 2032 00:00:00 GMT; Path=/legacy; Secure',
     'a=b; SameSite=Lax; Expires=Thu, 01 Jan 2032 00:00:00 GMT; Path=/app; Secure'),
    ('Set-Cookie', 'a=b; Domain=a.legacy.internal', 'a=b; Domain=a.legacy.internal'),
    ('Set-Cookie', 'a=b; Domain=other.example; Path=/other', 'a=b; Domain=other.example; Path=/other'),
    ('Set-Cookie', 'path=/legacy; Path=/', 'path=/legacy; Path=/'),
    ('Set-Cookie', 'a=b; Domain=; Path=', 'a=b; Domain=; Path='),
    ('X-Other', '/legacy/x', '/legacy/x'),
]

WHOLE = 'raincheck knows the whole of its backend: no URL of it is left to clients, even where no route leads'
FORMS = 'names of schemes and hosts have no case, and :80 goes without saying (RFC 3986 section 6.2)'
RELATIVE = 'the backend means its own path, which is longer or shorter here; and a result is collected under another URL'
SEGMENTS = 'a prefix ends where a segment ends'
CODED = 'a URL has neither blanks nor what is not ASCII (RFC 3986): clients get it as they would ask for it'

# What the backend says, what nginx makes of it, what raincheck does, and why.
DIFFERENT = [
    ('Location', 'http://BACKEND/elsewhere', 'http://BACKEND/elsewhere', '/elsewhere', WHOLE),
    ('Location', 'http://BACKEND', 'http://BACKEND', '/', WHOLE),
    ('Location', 'http://BACKEND/legacyx', 'http://BACKEND/legacyx', '/legacyx', WHOLE),
    ('Location', '//BACKEND/legacy/x', '//BACKEND/legacy/x', '/app/x', WHOLE),
    ('Location', 'https://legacy.internal/legacy/x', 'https://legacy.internal/legacy/x', '/app/x',
     'a backend behind a TLS terminator believes to speak https: the host that it was told is its own'),
    ('Location', 'HTTP://BACKEND/legacy/x', 'HTTP://BACKEND/legacy/x', '/app/x', FORMS),
    ('Location', 'http://LEGACY.internal:80/legacy/x', 'http://LEGACY.internal:80/legacy/x', '/app/x', FORMS),
    ('Location', 'x/y', 'x/y', '/app/here/x/y', RELATIVE),
    ('Location', '../x', '../x', '/app/x', RELATIVE),
    ('Location', '?q=1', '?q=1', '/app/here/a?q=1', RELATIVE),
    ('Refresh', '5;url=x', '5;url=x', '5;url=/app/here/x', RELATIVE),
    ('Location', '/legacy', '/legacy', '/app', SEGMENTS),
    ('Set-Cookie', 'a=b; Path=/legacyx', 'a=b; Path=/appx', 'a=b; Path=/legacyx', SEGMENTS),
    ('Location', '/legacy/../x', '/app/../x', '/legacy/../x',
     'it is /x to every client, and /x is not below /legacy'),
    ('Location', '/legacy//x', '/app//x', '/app/x', 'paths are in the form in which they are matched and forwarded'),
    ('Location', 'http://BACKEND/legacy/a%2fb', '/app/a%2fb', 'http://BACKEND/legacy/a%2fb',
     'a path with %2F is refused, since servers read it in two ways, and so has no public URL'),
    ('Location', 'http://BACKEND/legacy/a b', '/app/a b', '/app/a%20b', CODED),
    ('Location', 'http://BACKEND/legacy/\u00e4', '/app/\u00e4', '/app/%E4', CODED),
    ('Refresh', '5; url="/legacy/x"', '5; url="/legacy/x"', '5; url="/app/x"', 'browsers take quotes, so do we'),
    ('Refresh', '5; Url = /legacy/x', '5; Url = /legacy/x', '5; Url = /app/x', 'browsers take blanks, so do we'),
    ('Content-Location', '/legacy/x', '/legacy/x', '/app/x', 'it is a URL too (RFC 9110 section 8.7)'),
    ('Link', '</legacy/x>; rel=next', '</legacy/x>; rel=next', '</app/x>; rel=next', 'it is one too (RFC 8288)'),
    ('Set-Cookie', 'a=b; Domain=.legacy.internal', 'a=b; Domain=.public.example', 'a=b; Domain=public.example',
     'the dot means nothing any more (RFC 6265 section 5.2.3)'),
    ('Set-Cookie', 'a=b; Domain=internal', 'a=b; Domain=internal', 'a=b; Domain=public.example',
     'a domain that the host of the backend is below is its own as well'),
    ('Set-Cookie', 'a=b;Path=/legacy; Secure', 'a=b; Path=/app; Secure', 'a=b;Path=/app; Secure',
     'what is not changed stays as it was written'),
]


class LikeNginx(EndToEnd):
    def serve_both(self, locations, routes):
        """nginx and raincheck in front of the test's backend."""
        backend = f'127.0.0.1:{self.backend.port}'
        self.nginx = Servers(self).nginx(SERVER.replace('LOCATIONS', locations).replace('BACKEND', backend))
        self.serve(routes=routes, default_upstream=None)

    def both(self, target, fields=()):
        """The answers of nginx and of raincheck."""
        return request(self.nginx, 'GET', target, fields), self.request('GET', target, fields)


class Heads(LikeNginx):
    def setUp(self):
        super().setUp()
        self.serve_both(HEADS, [HEAD_ROUTE])

    def told(self, name, value):
        """What clients are told by nginx, by raincheck, and by the result of a job of raincheck."""
        backend = f'127.0.0.1:{self.backend.port}'
        status = 302 if name == 'Location' else 200
        said = value.replace('BACKEND', backend)
        self.backend.on('/legacy/here/a', lambda exchange: exchange.reply(status, b'x', [(name, said)]))
        answers = [*self.both('/app/here/a'), Job(self.proxy, self.request('GET', '/app/here/a', ASYNC)).wait().result()]
        return [answer.get(name).replace(backend, 'BACKEND') for answer in answers]

    def test_what_both_are_for_comes_out_the_same(self):
        for name, value, expected in SAME:
            with self.subTest(name=name, value=value):
                self.assertEqual([expected] * 3, self.told(name, value))

    def test_what_differs_stands_in_the_table(self):
        for name, value, nginx, ours, reason in DIFFERENT:
            with self.subTest(name=name, value=value, reason=reason):
                self.assertNotEqual(nginx, ours)
                self.assertEqual([nginx, ours, ours], self.told(name, value))

    def test_each_of_several_cookies_is_mapped(self):
        cookies = [('Set-Cookie', 'a=1; Path=/legacy'), ('Set-Cookie', 'b=2; Domain=legacy.internal')]
        self.backend.on('/legacy', lambda exchange: exchange.reply(200, b'x', cookies))
        for answer in self.both('/app/here/a'):
            self.assertEqual(['a=1; Path=/app', 'b=2; Domain=public.example'], answer.all('Set-Cookie'))


NEEDLE = b'http://legacy.internal'
# Texts to find and what is put in their place, by path. Those of /many overlap, but none begins another.
RULES = {
    'one': {NEEDLE: b'https://public.example/base'},
    'gone': {NEEDLE: b''},
    'many': {b'aab': b'X', b'aba': b'YYYY', b'bbb': b''},
    'nested': {b'abab': b'2', b'ab': b'1'},
}

# The same as /one/, from a backend that is asked for no coding, coded by nginx.
CODED = '''
location /coded/ {
  proxy_pass http://BACKEND;
  proxy_set_header Accept-Encoding "";
  sub_filter_once off;
  sub_filter 'http://legacy.internal' 'https://public.example/base';
  gzip on;
  gzip_min_length 0;
}
'''


def sub_filters():
    locations = ''
    for name, rules in RULES.items():
        filters = ''.join(f"sub_filter '{old.decode()}' '{new.decode()}'; " for old, new in rules.items())
        locations += (f'location /{name}/ {{ proxy_pass http://BACKEND; sub_filter_once off; {filters}'
                      'sub_filter_types text/plain application/json; }\n')
    return locations + CODED


def replace_routes():
    rules = {**RULES, 'coded': RULES['one']}
    return [route(f'/{name}/*', mode='never', response_body={
        'replace': [{'from': old.decode(), 'to': new.decode()} for old, new in rules[name].items()]}) for name in rules]


class Bodies(LikeNginx):
    def setUp(self):
        super().setUp()
        self.serve_both(sub_filters(), replace_routes())

    def answer_in(self, pieces, fields='Content-Type: text/html\r\n'):
        """The backend answers with these chunks."""
        head = f'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{fields}\r\n'.encode()
        self.backend.on('/', raw(head + chunked(*pieces), then_close=False))

    def bodies(self, name, pieces, fields='Content-Type: text/html\r\n'):
        self.answer_in(pieces, fields)
        return [answer.body for answer in self.both(f'/{name}/x')]

    def assert_same(self, name, pieces, expected=None):
        nginx, ours = self.bodies(name, pieces)
        self.assertEqual(nginx, ours, pieces)
        if expected is not None:
            self.assertEqual(expected, ours, pieces)

    def test_a_text_that_is_cut_anywhere_is_found(self):
        for name in ('one', 'gone'):
            for cut in range(len(NEEDLE) + 1):
                self.assert_same(name, [b'<' + NEEDLE[:cut], NEEDLE[cut:] + b'>'], b'<' + RULES[name][NEEDLE] + b'>')

    def test_what_only_begins_like_the_text_stays(self):
        for body in (b'', NEEDLE[:-1], b'h' + NEEDLE, NEEDLE + NEEDLE[:-1], b'ht' + NEEDLE[:9] + NEEDLE, NEEDLE * 3):
            for size in (1, 2, 7, 1000):
                pieces = [body[i:i + size] for i in range(0, len(body), size)]
                self.assert_same('one', pieces, body.replace(NEEDLE, RULES['one'][NEEDLE]))

    def test_several_texts_in_bodies_made_by_chance(self):
        chance = random.Random(7)
        for _ in range(150):
            body = [chance.choice((b'a', b'b')) for _ in range(chance.randrange(80))]
            pieces = []
            while body:
                size = chance.randrange(1, 9)
                pieces.append(b''.join(body[:size]))
                del body[:size]
            self.assert_same('many', pieces)

    def test_a_body_of_megabytes(self):
        body = (b'a' * 1000 + NEEDLE) * 3000
        self.answer_in([body[i:i + 65_000] for i in range(0, len(body), 65_000)])
        nginx, ours = self.both('/one/x')
        self.assertEqual((nginx.length, nginx.digest), (ours.length, ours.digest))
        self.assertEqual(len(body) + 3000 * 5, ours.length)

    def test_media_types_that_both_change_and_leave_alone(self):
        for kind in ('text/html', 'TEXT/HTML', 'text/plain;charset=utf-8', 'application/json', 'image/png', ''):
            field = f'Content-Type: {kind}\r\n' if kind else ''
            nginx, ours = self.bodies('one', [NEEDLE], field)
            self.assertEqual(nginx, ours, kind)

    def test_a_coded_body_says_the_same(self):
        text = b'<a href="' + NEEDLE + b'">' * 500

        def backend(exchange):
            if 'gzip' in exchange.request.get('Accept-Encoding', ''):
                exchange.reply(200, gzip.compress(text), {**HTML, 'Content-Encoding': 'gzip'})
            else:
                exchange.reply(200, text, HTML)
        self.backend.on('/coded', backend)
        for answer in self.both('/coded/x', {'Accept-Encoding': 'gzip'}):
            self.assertEqual('gzip', answer.get('Content-Encoding'))
            self.assertEqual(text.replace(NEEDLE, RULES['one'][NEEDLE]), gzip.decompress(answer.body))
        self.assertEqual([None, 'gzip'], [seen.get('Accept-Encoding') for seen in self.backend.seen()])
        for answer in self.both('/coded/x'):
            self.assertEqual(text.replace(NEEDLE, RULES['one'][NEEDLE]), answer.body)

    def test_what_differs_on_purpose(self):
        coded = gzip.compress(NEEDLE)
        table = [
            # path, chunks, what nginx makes of them, what raincheck does, why
            ('one', [NEEDLE.upper()], RULES['one'][NEEDLE], NEEDLE.upper(), 'paths of URLs have case, and so have texts'),
            ('nested', [b'ab'], b'ab', b'1', 'what is held back at the end is looked through once more'),
            ('nested', [b'ababab'], b'2ab', b'21', 'the same, after the longest of those that begin at one place'),
        ]
        for name, pieces, nginx, ours, reason in table:
            with self.subTest(pieces=pieces, reason=reason):
                self.assertEqual([nginx, ours], self.bodies(name, pieces))
        nginx, ours = self.bodies('one', [coded], 'Content-Type: text/html\r\nContent-Encoding: gzip\r\n')
        self.assertEqual((coded, RULES['one'][NEEDLE]), (nginx, gzip.decompress(ours)), 'nginx leaves a coded body alone')
        nginx, ours = self.bodies('one', [NEEDLE], 'Content-Type: text/xml\r\n')
        self.assertEqual((NEEDLE, RULES['one'][NEEDLE]), (nginx, ours), 'XML is text without being listed')

    def test_fields_that_are_no_longer_true(self):
        """nginx drops ETag and Last-Modified, and keeps what it does not know. raincheck keeps what is still true."""
        self.answer_in([NEEDLE], 'Content-Type: text/html\r\nETag: "s"\r\nLast-Modified: Thu, 26 Nov 2026 14:23:35 GMT\r\n'
                                 'Accept-Ranges: bytes\r\nContent-MD5: x\r\n')
        names = ('ETag', 'Last-Modified', 'Accept-Ranges', 'Content-MD5', 'Content-Length')
        nginx, ours = ([answer.get(name) for name in names] for answer in self.both('/one/x'))
        self.assertEqual([None, None, 'bytes', 'x', None], nginx)
        self.assertEqual(['W/"s"', 'Thu, 26 Nov 2026 14:23:35 GMT', None, None, None], ours)

    def test_parts_of_a_body_that_changes_are_not_asked_for(self):
        """nginx passes Range on, and gives the part that it gets as it is."""
        self.answer_in([NEEDLE])
        self.both('/one/x', {'Range': 'bytes=0-3'})
        self.assertEqual(['bytes=0-3', None], [seen.get('Range') for seen in self.backend.seen()])
