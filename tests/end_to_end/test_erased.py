"""Results that are erased while they are asked for."""
import threading

from backend import answer
from harness import EndToEnd
from wire import Client

ASKERS = 8
JOBS = 100


class Erased(EndToEnd):
    def test_a_result_that_is_erased_while_it_is_asked_for_is_whole_or_gone(self):
        self.serve(store={'inline_max': '0B'})
        body = bytes(range(256)) * 40
        self.backend.on('/reports', answer(200, body))
        urls = [self.submit().wait().result_url for _ in range(JOBS)]
        together = threading.Barrier(ASKERS + 1, timeout=5)
        answers = []

        def ask():
            client = Client(self.proxy.port)
            for url in urls:
                together.wait()
                response = client.request('GET', url)
                answers.append((response.status, response.body == body))
            client.close()

        def erase():
            client = Client(self.proxy.port)
            for url in urls:
                together.wait()
                client.request('DELETE', url)
            client.close()

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(ASKERS)]
        threads.append(threading.Thread(target=erase, daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual(ASKERS * JOBS, len(answers), 'an answer was cut off')
        self.assertEqual(set(), set(answers) - {(200, True), (410, False)})
