import time, pytest, os, redis
from urllib.parse import urlparse
from tests.acceptance.test_sigterm import *
from tests.acceptance.test_sigterm import _blocks
from tests.faults.chaosproxy import ChaosProxy, Mode
import asyncio
pytestmark = pytest.mark.django_db(transaction=True)
def test_x(tmp_path, django_db_setup, settings):
    settings.AGENTPLATFORM_RECONCILE_S = 0.5
    from django.conf import settings as s
    url = urlparse(s.REDIS_URL)
    with ChaosProxy(lambda: asyncio.open_connection(url.hostname, url.port)) as proxy:
        through = s.REDIS_URL.replace(f":{url.port}", f":{proxy.port}")
        w = start_worker("default","threads",extra_env={**BLOCKS, "BROKER_URL": through, "REDIS_URL": through, "AGENTPLATFORM_TEST_EFFECTS": str(tmp_path/"e")})
        try:
            ids = start_many(one_way(Act), 1); wait_for_end(ids)
            ids = start_many(two_ways(), 1)
            time.sleep(0.02)
            proxy.set(Mode.BLACKHOLE)
            t=time.time()
            while time.time()-t<30: time.sleep(1)
            proxy.heal()
            print("DURING", w.output()[-2500:])
            ids = start_many(one_way(Act), 1); wait_for_end(ids, within_s=60, reconciles=True)
            print("ran after heal", time.time()-t-30)
        finally:
            print(w.output()[-1500:])
            w.kill9()
