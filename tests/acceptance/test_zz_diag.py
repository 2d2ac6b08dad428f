import json, pytest, sys
from tests.acceptance import test_engine_against_reference as t
from tests.acceptance.test_engine_against_reference import *
from executions.plans import plan_of
from executions.engine.compile import compile
from executions import launch
from tests.servers import start_worker
pytestmark = pytest.mark.django_db(transaction=True)
for n in list(globals()):
    if n.startswith("test_"): del globals()[n]
@pytest.fixture(scope="module")
def spread(django_db_setup):
    given = {name: str(value) for name, value in NARROW.items()}
    environment = given | {"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS"}
    a=start_worker("default","threads",extra_env=environment); b=start_worker("cpu","prefork",extra_env=environment)
    globals()["W"]=(a,b)
    yield NARROW
    a.kill9(); b.kill9()
@pytest.mark.parametrize("round", range(6))
def test_diag(round, redis_url):
    cases = started(range(5000+round*250, 5250+round*250)) if round%2 else started(seeds_that_stop(60))
    try: t.wait_for(cases, within_s=25)
    except AssertionError as e:
        import redis
        r=redis.Redis.from_url(redis_url)
        print(e, {k:r.type(k) for k in r.keys()} if len(r.keys())<30 else len(r.keys()), r.llen("default"), r.llen("cpu"))
        for c in cases:
            x=Execution.objects.get(pk=c.execution_id)
            if x.status in FINAL: continue
            p=plan_of(x.version_id)
            print(c.name,x.pk,x.status,"stopping",x.is_stopping,x.error_code,x.error_node,"done",x.segments_done)
            for s in p.segments: print("  seg",s.index,s.queue,[p.nodes[n].key+":"+p.nodes[n].block_id for n in s.nodes],"prod",sorted(s.producers),"cons",sorted(s.consumers))
            print("  first canvas",compile(p,(),launch.limits()))
            for k,row in sorted(rows_of(c.execution_id).items()): print("  ",k,row.status,row.attempt,row.worker,row.ended_at and row.ended_at.time(),row.lease_expires_at,row.error_code)
            for w in W:
                for line in w.output().splitlines():
                    if str(x.pk) in line or "ERROR" in line or "Traceback" in line or "rror:" in line: print("   LOG",line[:300])
        raise
