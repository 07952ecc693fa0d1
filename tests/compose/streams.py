"""Streamed answers under way at the same time."""

import http.client
import json
import threading


class Streams:
    """So many streams; each counts its events until the last one."""

    def __init__(self, stack, count):
        self.ends, self.begun = [], threading.Semaphore(0)
        self.threads = [threading.Thread(target=self.follow, args=(stack,), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()
        for _ in range(count):
            if not self.begun.acquire(timeout=30):
                break

    def follow(self, stack):
        """Events of one stream and whether its end came, or what went wrong."""
        try:
            with stack.request({"model": "any", "stream": True, "messages": []}, timeout=60) as answer:
                first = answer.readline()
                self.begun.release()
                lines = [first, *answer.readlines()]
                events = [line for line in lines if line.startswith(b"data: {")]
                for event in events:
                    json.loads(event[6:])
                self.ends.append((answer.status, len(events), b"data: [DONE]\n" in lines))
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.begun.release()
            self.ends.append(error)

    def under_way(self):
        return sum(thread.is_alive() for thread in self.threads)

    def all_ends(self, timeout=60):
        for thread in self.threads:
            thread.join(timeout)
        return list(self.ends)
