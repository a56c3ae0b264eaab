"""Load for tests of crashes: clients that submit, poll, collect and cancel, a backend that misbehaves, and what all of
them remember. The checker asks whether what was seen can have been seen if raincheck kept its promises.

The clients ride over every kill: a connection that breaks is an exchange without an answer, and no more than that.
"""
import hashlib
import json
import random
import threading
import time
from collections import Counter, defaultdict

from harness import route
from wire import ProtocolError, request

ROUTES = {  # path: (method, may a call be sent again?)
    'idempotent': ('PUT', True),
    'unsafe': ('POST', False),
    'resend': ('POST', True),
    'unsafe-patch': ('PATCH', False),
}
RETRY = {'max_attempts': 5, 'backoff': '10ms', 'max_backoff': '100ms'}


def routes():
    return [route('/idempotent/*', retry=RETRY), route('/unsafe/*', retry=RETRY), route('/unsafe-patch/*', retry=RETRY),
            route('/resend/*', resend='always', retry=RETRY)]


class Submission:
    """One job as its client knows it."""

    def __init__(self, kind, number, body, key):
        self.kind, self.number, self.body, self.key = kind, number, body, key
        self.method, self.may_resend = ROUTES[kind]
        self.target = f'/{kind}/{number}'
        self.digest = hashlib.sha256(body).hexdigest()
        self.outcomes = []     # of each time it was sent: an id, ('refused', status), or None for no answer
        self.sightings = []    # (time, 'pending' | 'gone' | 'absent' | the final document and its result)
        self.canceled_at = None

    @property
    def ids(self):
        return {outcome for outcome in self.outcomes if isinstance(outcome, str)}

    @property
    def id(self):
        return next(iter(self.ids), None)


class Load:
    """Ten clients, until they are told to stop. `port` is a function, for it changes with each start."""

    def __init__(self, port, seed, backend, clients=10):
        self.port, self.seed, self.backend, self.clients = port, seed, backend, clients
        self.submissions, self.lock, self.stopping = [], threading.Lock(), threading.Event()
        self.calls = defaultdict(list)  # target: (time, digest, method)
        self.answers = defaultdict(set)  # target: digests of the answers that were begun
        self.threads, self.errors, self.number = [], [], 0
        # The power is cut, and what is seen from then on was seen by nobody: the file system may have told a sync that
        # ran at that moment that all is well.
        self.failing = False
        backend.on('/', self.answer)

    def start(self):
        for number in range(self.clients):
            thread = threading.Thread(target=self.client, args=(random.Random(self.seed * 1000 + number),), daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    # What the backend does, chosen by the number in the target so that a seed decides it.

    def answer(self, exchange):
        call = exchange.request
        if self.failing:
            return exchange.reset()
        with self.lock:
            self.calls[call.target].append((time.monotonic(), call.digest, call.method))
            times = len(self.calls[call.target])
        fate, dice = self.fate(call.target, times)
        exchange.hold(within=dice.choice((0, 0, 0.005, 0.02, 0.1)))
        if fate == 'reset':
            exchange.reset()
        elif fate == 'cut':
            exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut short')
            exchange.close()
        elif fate == 'declined':
            exchange.reply(503, b'busy', {'Retry-After': '1'})
        else:
            self.reply(exchange, call, 500 if fate == 'failed' else 200, dice)

    def fate(self, target, times):
        """What becomes of the n-th call for a target, and the dice for the rest. A call that is declined holds the
        whole upstream back for a second, so there are few of them."""
        dice = random.Random(f'{self.seed} {target} {times}')
        fate, = dice.choices(('reset', 'cut', 'declined', 'failed', 'answered'), (40, 30, 1, 40, 889))
        return fate, dice

    def reply(self, exchange, call, status, dice):
        size = dice.choice((10, 1000, 100000))
        body = (f'{call.target} {call.digest} {dice.random()}\n' * (size // 80 + 1)).encode()
        with self.lock:
            self.answers[call.target].add((status, hashlib.sha256(body).hexdigest()))
        exchange.reply(status, body)

    # What a client does.

    def client(self, dice):
        mine = []
        while not self.stopping.is_set():
            try:
                deed = dice.random()
                if deed < 0.5 or not mine:
                    if submission := self.submit(dice):
                        mine.append(submission)
                elif deed < 0.9:
                    self.look(dice.choice(mine[-20:]))
                elif deed < 0.93:
                    self.cancel(dice.choice(mine[-5:]))
                else:
                    self.look(dice.choice(mine))
            except (OSError, ProtocolError):
                self.stopping.wait(0.01)  # it was killed; the next start will have another port
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(repr(error))
                return

    def send(self, method, target, fields=(), body=None):
        port = self.port()
        if not port:
            raise ConnectionRefusedError
        return request(port, method, target, fields, body, timeout=10)

    def submit(self, dice):
        kind = dice.choice(list(ROUTES))
        body = dice.randbytes(dice.choice((0, 100, 1000, 5000, 60000)))
        with self.lock:
            self.number += 1
            number = self.number
        submission = Submission(kind, number, body, f'key-{number}' if dice.random() < 0.4 else None)
        with self.lock:
            self.submissions.append(submission)
        self.send_submission(submission)
        return submission if submission.id else None

    def send_submission(self, submission):
        """Sends it; with a key, again and again until there is an answer."""
        fields = {'Idempotency-Key': submission.key} if submission.key else {}
        while not self.stopping.is_set():
            try:
                answered = self.send(submission.method, submission.target, fields, submission.body)
                accepted = answered.status == 202 and not self.failing
                if accepted:
                    submission.outcomes.append(json.loads(answered.text)['id'])
                elif self.failing:
                    submission.outcomes.append(None)
                else:
                    submission.outcomes.append(('refused', answered.status))
                if accepted or not submission.key:
                    return
            except (OSError, ProtocolError):
                submission.outcomes.append(None)
                if not submission.key:
                    raise
            self.stopping.wait(0.02)

    def look(self, submission):
        """Polls, and collects when it is final. Returns whether it is."""
        url = f'/_jobs/{submission.id}'
        polled = self.send('GET', url)
        if polled.status == 302:
            result = self.send('GET', url + '/result')
            told = self.send('DELETE', url)  # of a final job: changes nothing, and says how it ended
            if self.failing:
                return False
            document = json.loads(told.text)
            seen = {'status': document['status'], 'error': (document.get('error') or {}).get('type'),
                    'document': document, 'result': (result.status, result.digest, result.get('Content-Type'))}
            submission.sightings.append((time.monotonic(), seen))
            return True
        word = {200: 'pending', 410: 'gone', 404: 'absent'}.get(polled.status, f'status {polled.status}')
        if not self.failing:
            submission.sightings.append((time.monotonic(), word))
        return False

    def cancel(self, submission):
        answered = self.send('DELETE', f'/_jobs/{submission.id}')
        if answered.status == 200 and not self.failing and json.loads(answered.text)['status'] == 'canceled':
            submission.canceled_at = submission.canceled_at or time.monotonic()

    def settle(self, within=60):
        """After the last start: looks at every accepted job until all are final. Returns those that are not."""
        deadline = time.monotonic() + within
        waiting = [s for s in self.submissions if s.id]
        while waiting and time.monotonic() < deadline:
            waiting = [s for s in waiting if not self.look(s) and s.sightings[-1][1] not in ('gone', 'absent')]
            threading.Event().wait(0.05 if waiting else 0)
        for submission in self.submissions:
            if submission.id and not waiting:
                self.look(submission)  # once more: final must stay final
        return waiting


def check(load, unsettled=()):
    """Every broken promise, as a sentence."""
    broken = [f'{s.target} {s.id}: not final in time, {s.sightings[-1:]}' for s in unsettled]
    known = {s.target: s for s in load.submissions}
    broken += [f'phantom: the backend was sent {target}' for target in load.calls if target not in known]
    for submission in load.submissions:
        broken += [f'{submission.target} {submission.id}: {text}' for text in check_one(submission, load)]
    return broken + load.errors


def check_one(submission, load):
    calls, answers = load.calls.get(submission.target, []), load.answers.get(submission.target, set())
    finals = [seen for _, seen in submission.sightings if isinstance(seen, dict)]
    words = [seen for _, seen in submission.sightings]
    if not submission.may_resend and len(calls) > allowed(submission, load):
        yield f'an unsafe call was sent {len(calls)} times'
    if any(digest != submission.digest or method != submission.method for _, digest, method in calls):
        yield 'the backend was sent another request than the client made'
    if len(submission.ids) > 1:
        yield f'one key, several jobs: {submission.ids}'
    if calls and submission.outcomes and all(isinstance(o, tuple) for o in submission.outcomes):
        yield f'refused with {submission.outcomes}, and yet the backend was called'
    if not submission.id:
        return
    if words[-1:] == ['absent']:
        yield 'an accepted job is lost'
    elif 'absent' in words or 'gone' in words:
        yield f'an accepted job was {"not there at once" if "absent" in words else "gone"}'
    if any(isinstance(word, str) and word.startswith('status') for word in words):
        yield f'odd answers to polls: {set(w for w in words if isinstance(w, str))}'
    for final in finals:
        if changes := difference(finals[0], final):
            yield f'a final state changed: {changes}'
            break
    if finals and any(word == 'pending' for word in words[words.index(finals[0]):]):
        yield 'a final job was pending again'
    if finals:
        yield from check_end(submission, finals[0], calls, answers)
    late = [at - submission.canceled_at for at, _, _ in calls if submission.canceled_at and at > submission.canceled_at]
    if len(late) > 1 or late and late[0] > 2:  # one may have been on its way, and the backend's threads are slow
        yield f'the backend was called after the cancel was acknowledged, by {late} s'
    if submission.canceled_at and finals and finals[0]['status'] != 'canceled':
        yield f'canceled, and yet {finals[0]["status"]}'


def difference(first, second):
    """What is not the same in two final sightings, as {key: (before, after)}."""
    before, after = ({**seen['document'], **seen} for seen in (first, second))
    return {key: (before.get(key), after.get(key)) for key in {**before, **after}
            if key != 'document' and before.get(key) != after.get(key)}


def allowed(submission, load):
    """How often an unsafe call may be seen: once, and once more for each time that the backend itself said
    that it had not been carried out."""
    times = len(load.calls[submission.target])
    return 1 + sum(load.fate(submission.target, number)[0] == 'declined' for number in range(1, times))


def check_end(submission, final, calls, answers):
    status, digest, _ = final['result']
    if final['status'] == 'succeeded' or final['error'] == 'upstream_status':
        if not calls:
            yield 'it has a result, and yet the backend was never called'
        if (status, digest) not in answers and status != 503:
            yield f'its result {status} is none that the backend gave'
        if (final['status'] == 'succeeded') != (status < 400):
            yield f'{final["status"]} with {status}'
    if final['error'] == 'outcome_unknown' and submission.may_resend:
        yield 'a call that may be sent again ended as outcome_unknown'


def summary(load):
    ends = Counter()
    for submission in load.submissions:
        last = submission.sightings[-1][1] if submission.sightings else 'never looked at'
        ends[(last['error'] or last['status']) if isinstance(last, dict) else last] += bool(submission.id)
    accepted = sum(1 for s in load.submissions if s.id)
    unanswered = sum(1 for s in load.submissions if None in s.outcomes)
    calls = sum(len(c) for c in load.calls.values())
    return f'{accepted} jobs accepted, {unanswered} submissions cut off, {calls} calls; {dict(ends)}'
