"""Every setting, from the environment, with one line of why. For operators: docs/settings.md."""

from __future__ import annotations

import sys
from pathlib import Path

from agentplatform.env import (
    env_bool,
    env_choice,
    env_database,
    env_float,
    env_int,
    env_int_or_none,
    env_list,
    env_secret,
    env_str,
)

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Which kind of installation this is ---
# Production unless said otherwise: a forgotten variable makes the boot refuse, not the door stand open.
AGENTPLATFORM_ENV = env_choice("AGENTPLATFORM_ENV", ("development", "production"), default="production")
IS_DEVELOPMENT = AGENTPLATFORM_ENV == "development"
DEBUG = env_bool("AGENTPLATFORM_DEBUG", default=False)  # shows source and settings in errors: never by default
SECRET_KEY = env_secret("AGENTPLATFORM_SECRET_KEY")  # signs sessions; no default, so that nobody shares one
ALLOWED_HOSTS = env_list("AGENTPLATFORM_ALLOWED_HOSTS")  # the names we answer to, against forged Host headers
CSRF_TRUSTED_ORIGINS = env_list("AGENTPLATFORM_CSRF_TRUSTED_ORIGINS")  # needed behind a proxy that ends TLS
AGENTPLATFORM_ENCRYPTION_KEYS = [  # newest first: the first encrypts, all decrypt, so keys can rotate
    key.strip() for key in env_secret("AGENTPLATFORM_ENCRYPTION_KEYS").split(",") if key.strip()
]

SENTRY_DSN = env_secret("SENTRY_DSN")  # where errors are reported, without secrets; empty: nowhere

# --- What is installed ---
INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",  # one way of serving static files, in development as in production
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # the API documentation's assets, so that no page loads from a CDN
    "integrations.apps.IntegrationsConfig",
    "files.apps.FilesConfig",
    "graphs.apps.GraphsConfig",
    "access.apps.AccessConfig",
    "executions.apps.ExecutionsConfig",
    "agentplatform.apps.AgentplatformConfig",
]
MIDDLEWARE = [
    "agentplatform.middleware.name_requests",  # first: also what others refuse has a name
    "agentplatform.policy.PolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "agentplatform.middleware.GzipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "agentplatform.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "agentplatform.urls"
ASGI_APPLICATION = "agentplatform.asgi.application"
WSGI_APPLICATION = "agentplatform.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "agentplatform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"  # stored and compared in one zone; people see their own in the browser
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "agentplatform.formats"  # moments as our own pages write them
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Postgres: the truth ---
# Of the web only, whose requests share connections: ASGI runs each in a new thread. Workers and beat keep theirs.
_conn_max_age_s = env_int("AGENTPLATFORM_DB_CONN_MAX_AGE_S", 0, minimum=-1)
AGENTPLATFORM_DB_POOL = env_int("AGENTPLATFORM_DB_POOL", 24, minimum=0)  # that the threads of one web process share
DATABASES = {"default": env_database("DATABASE_URL")}
if DATABASES["default"]:
    DATABASES["default"] |= {
        "CONN_MAX_AGE": None if _conn_max_age_s < 0 else _conn_max_age_s,
        "CONN_HEALTH_CHECKS": True,  # a connection that died with its server is replaced, not reported
        "ATOMIC_REQUESTS": False,  # services own their transactions: a request is not one
    }
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "tcp_user_timeout": 15_000,  # a half-open connection must not hold the heartbeat for longer than a lease or two
        "prepare_threshold": None,
    } | DATABASES["default"].get("OPTIONS", {})
    # The hot statements are prepared, and planned once: planning them for each call, over all partitions, takes longer than running
    # them. A pooler that shares connections within a session can have neither.
    if env_bool("AGENTPLATFORM_DB_PREPARE", default=True):
        DATABASES["default"]["OPTIONS"] |= {
            "prepare_threshold": 5,
            "options": f"{DATABASES['default']['OPTIONS'].get('options', '')} -c plan_cache_mode=force_generic_plan".strip(),
        }

# --- Redis or Valkey: the messenger ---
REDIS_URL = env_secret("REDIS_URL")
BROKER_URL = env_secret("BROKER_URL") or REDIS_URL  # a broker of its own, such as RabbitMQ, by one URL

# --- Language models, over the OpenAI protocol ---
OPENAI_BASE_URL = env_str("OPENAI_BASE_URL")  # empty = the SDK's own default
OPENAI_API_KEY = env_secret("OPENAI_API_KEY")
OPENAI_MODEL = env_str("OPENAI_MODEL", "gpt-4o-mini")  # what an LLM block uses if it names none

# --- The engine ---
AGENTPLATFORM_LEASE_S = env_float(
    "AGENTPLATFORM_LEASE_S", 6.0, minimum=0.1
)  # how long a dead worker's nodes stay its own
AGENTPLATFORM_HEARTBEAT_S = env_float(
    "AGENTPLATFORM_HEARTBEAT_S", 1.5, minimum=0.05
)  # two may be missed within one lease
AGENTPLATFORM_RECONCILE_S = env_float(
    "AGENTPLATFORM_RECONCILE_S", 2.0, minimum=0.1
)  # longest silence after a lost message
AGENTPLATFORM_LANES = env_int("AGENTPLATFORM_LANES", 4, minimum=1)  # parallel tasks a wave is packed into
AGENTPLATFORM_CHUNK_ITEMS = env_int("AGENTPLATFORM_CHUNK_ITEMS", 100, minimum=1)  # items of one node in one task
AGENTPLATFORM_BLOCK_TIMEOUT_S = env_float(
    "AGENTPLATFORM_BLOCK_TIMEOUT_S", 300.0, minimum=0.1
)  # no block waits for ever
AGENTPLATFORM_MAX_OUTPUT_BYTES = env_int("AGENTPLATFORM_MAX_OUTPUT_BYTES", 8_388_608, minimum=1024)  # of one value
AGENTPLATFORM_MAX_NODES_PER_GRAPH = env_int(
    "AGENTPLATFORM_MAX_NODES_PER_GRAPH", 2000, minimum=1
)  # planning stays quick
AGENTPLATFORM_MAX_ITEMS = env_int("AGENTPLATFORM_MAX_ITEMS", 10_000, minimum=1)  # that one firing yields on one pin
AGENTPLATFORM_MAX_FIRING_BYTES = env_int(
    "AGENTPLATFORM_MAX_FIRING_BYTES", 67_108_864, minimum=1024
)  # of all its values: what one row can surely hold
AGENTPLATFORM_MAX_FIRINGS = env_int("AGENTPLATFORM_MAX_FIRINGS", 20_000, minimum=1)  # of one execution
AGENTPLATFORM_MAX_DURATION_S = env_float(
    "AGENTPLATFORM_MAX_DURATION_S", 86_400.0, minimum=1.0
)  # of running without a wait: what hangs comes to an end
AGENTPLATFORM_MAX_RUNNING_PER_OWNER = env_int(
    "AGENTPLATFORM_MAX_RUNNING_PER_OWNER", 100, minimum=1
)  # of one owner at a time; the rest stands in line
AGENTPLATFORM_MAX_IN_FLIGHT = env_int(
    "AGENTPLATFORM_MAX_IN_FLIGHT", 1000, minimum=1
)  # of all: the line is a table, the broker's queue stays short
AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS = env_int_or_none(
    "AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS"
)  # of an owner's credit: unset without an end, 0 prepaid
AGENTPLATFORM_MAX_DEPTH = env_int("AGENTPLATFORM_MAX_DEPTH", 8, minimum=0)  # a graph that starts itself comes to an end
AGENTPLATFORM_MAX_CHILD_EXECUTIONS = env_int(
    "AGENTPLATFORM_MAX_CHILD_EXECUTIONS", 10_000, minimum=0
)  # sub-graphs of one execution, at all depths
AGENTPLATFORM_MAX_WEBHOOK_BYTES = env_int(
    "AGENTPLATFORM_MAX_WEBHOOK_BYTES", 1_048_576, minimum=1024
)  # of one delivery: each is stored whole
AGENTPLATFORM_KEEP_DELIVERIES_DAYS = env_int(
    "AGENTPLATFORM_KEEP_DELIVERIES_DAYS", 90, minimum=1
)  # after that an id may come again, and start something again
AGENTPLATFORM_WEBHOOKS_AT_ONCE = env_int(
    "AGENTPLATFORM_WEBHOOKS_AT_ONCE", 16, minimum=1
)  # that one web process takes; each holds a connection, and who comes beside is told to come again
AGENTPLATFORM_OUTGOING_AT_ONCE = env_int(
    "AGENTPLATFORM_OUTGOING_AT_ONCE", 200, minimum=1
)  # that beat's process sends to subscriptions; those that hang must leave room for the others
AGENTPLATFORM_OUTGOING_TIMEOUT_S = env_float(
    "AGENTPLATFORM_OUTGOING_TIMEOUT_S", 15.0, minimum=0.1
)  # of one attempt in all: whoever has more to do answers first
AGENTPLATFORM_OUTGOING_RETRY_S = env_float(
    "AGENTPLATFORM_OUTGOING_RETRY_S", 259_200.0, minimum=1.0
)  # three days: a weekend's outage loses nothing
AGENTPLATFORM_MAX_SUBSCRIPTIONS = env_int(
    "AGENTPLATFORM_MAX_SUBSCRIPTIONS", 50, minimum=1
)  # of one owner: each event is written once for each
AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S = env_int(
    "AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S", 60, minimum=1
)  # between two times of a schedule: nobody starts something each second by mistake
AGENTPLATFORM_SCHEDULE_GRACE_S = env_float(
    "AGENTPLATFORM_SCHEDULE_GRACE_S", 60.0, minimum=1.0
)  # a time that is later than this was missed: a restart of beat is none
AGENTPLATFORM_KEEP_FIRES_DAYS = env_int(
    "AGENTPLATFORM_KEEP_FIRES_DAYS", 90, minimum=1
)  # what became of the times of schedules
AGENTPLATFORM_EXTRA_BLOCKS = env_list("AGENTPLATFORM_EXTRA_BLOCKS")  # "module:LIST", beside our own and entry points
AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS = env_list(
    "AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS"
)  # exceptions of the safe HTTP door

# --- Celery: moves the work, decides nothing ---
AGENTPLATFORM_CELERY_THREADS = env_int(
    "AGENTPLATFORM_CELERY_THREADS", 16, minimum=1
)  # each drives the lanes of one message
CELERY_BROKER_URL = BROKER_URL
CELERY_RESULT_BACKEND = REDIS_URL  # counts chords; results themselves are in Postgres
CELERY_RESULT_EXPIRES = 600  # a chord that takes longer is carried on by reconcile
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {
    "retry_policy": {"max_retries": 3, "timeout": 2.0}
}  # what is not sent, reconcile sends
CELERY_TASK_IGNORE_RESULT = True  # chord headers opt in, one by one
CELERY_ACCEPT_CONTENT = ["json"]  # a pickle from a broken-into broker would be code
CELERY_WORKER_CONSUMER = "agentplatform.consumer:Consumer"  # drops what can not be read, instead of ending with it
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "default"  # `default` waits (threads pool), `cpu` computes (prefork pool)
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what a worker holds but does not run, another can not take
CELERY_WORKER_SEND_TASK_EVENTS = False  # the console reads Postgres
CELERY_WORKER_DISABLE_RATE_LIMITS = (
    True  # limits of providers are ours to keep; Celery would look at its own for each message
)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
AGENTPLATFORM_SOFT_SHUTDOWN_S = env_float(
    "AGENTPLATFORM_SOFT_SHUTDOWN_S", 10.0
)  # time for running blocks to end, once a stop is asked
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = AGENTPLATFORM_SOFT_SHUTDOWN_S  # of a cold stop, by SIGQUIT
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # the lease decides, not the broker's connection
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True  # a broker that comes a second later is no reason to die
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # nor is one that stays away for an hour
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "visibility_timeout": 3600,  # redelivery is not how we recover: only longer than any task matters
        "unacked_restore_interval": 10,
        "health_check_interval": 10,
        "socket_keepalive": True,
        "socket_connect_timeout": 5,
    }
    if BROKER_URL.startswith(("redis", "rediss"))
    else {}
)
CELERY_REDIS_SOCKET_KEEPALIVE = True
CELERY_REDIS_BACKEND_HEALTH_CHECK_INTERVAL = 10

# --- The API ---
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "access.authentication.ApiKeyAuthentication",  # first: a missing login is a 401, not a 403
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["access.throttles.PerMinute"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["agentplatform.parsing.StrictJsonParser"],
    "DEFAULT_FILTER_BACKENDS": ["agentplatform.lib.filtering.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "agentplatform.api.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "agentplatform.schema.TaggedSchema",
    "EXCEPTION_HANDLER": "agentplatform.api.answer_problem",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "agentplatform",
    "DESCRIPTION": "Draw graphs of blocks, start them, watch them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",  # graph documents use JSON Schema as pydantic writes it, which 3.0 is not
    "ENFORCE_NON_BLANK_FIELDS": True,  # what may not be blank says so
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],  # as everything below /api/
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "agentplatform.schema.describe_refusals",
    ],
    "ENUM_NAME_OVERRIDES": {  # kinds of status: generated clients get a name for each
        "ExecutionStatus": "executions.engine.status.Status",
        "NodeStatus": "executions.engine.status.NodeStatus",
        "LiveEventType": "executions.engine.live.LiveKind",
        "WaitStatus": "executions.engine.waits.WaitStatus",
        "WaitKind": "executions.engine.waits.WaitKind",
        "EntryKind": "executions.engine.money.EntryKind",
        "ScheduleKind": "executions.serializers.schedules.KINDS",
        "TriggerKind": "executions.triggers.TriggerKind",
        "CredentialKind": "integrations.models.KINDS",
        "DeliveryStatus": "executions.models.webhook.DeliveryStatus",
        "OutgoingStatus": "executions.models.subscription.OutgoingStatus",
        "FireStatus": "executions.models.schedule.FireStatus",
        "CatchUp": "executions.models.schedule.CatchUp",
        "Overlap": "executions.models.schedule.Overlap",
    },
}
AGENTPLATFORM_REQUESTS_PER_MINUTE = env_int(
    "AGENTPLATFORM_REQUESTS_PER_MINUTE", 6000
)  # of one API key; 0 counts nothing
AGENTPLATFORM_REQUESTS_OF_OWNER_FACTOR = env_int(
    "AGENTPLATFORM_REQUESTS_OF_OWNER_FACTOR", 2, minimum=1
)  # so many times that of all keys of an owner together
AGENTPLATFORM_EVENTS_HEARTBEAT_S = env_float(
    "AGENTPLATFORM_EVENTS_HEARTBEAT_S", 15.0, minimum=0.1
)  # of live events: proxies close what is silent for a minute
AGENTPLATFORM_MAX_EVENT_READERS = env_int(
    "AGENTPLATFORM_MAX_EVENT_READERS", 1000, minimum=1
)  # that one web process tells live events to
DATA_UPLOAD_MAX_MEMORY_SIZE = AGENTPLATFORM_MAX_OUTPUT_BYTES  # a request may be as large as one value

# --- The console ---
UNFOLD = {
    "SITE_TITLE": "agentplatform",
    "SITE_HEADER": "agentplatform",
    "SITE_SUBHEADER": "Agents, drawn and watched",
    "SITE_SYMBOL": "account_tree",
    "SHOW_VIEW_ON_SITE": False,
    "SITE_URL": None,  # there is no other site to return to
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "agentplatform.console.icon"}],
    "SCRIPTS": ["agentplatform.console.script"],
    "STYLES": ["agentplatform.console.style"],
    "LOGIN": {"form": "access.login_form.LoginForm"},
    "ENVIRONMENT": "agentplatform.console.environment",
    "DASHBOARD_CALLBACK": "agentplatform.console.dashboard",
    "SIDEBAR": {"navigation": "agentplatform.console.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 233)",
            "100": "oklch(94.1% .03 233)",
            "200": "oklch(88.6% .056 233)",
            "300": "oklch(80.8% .095 234)",
            "400": "oklch(70.7% .13 236)",
            "500": "oklch(61.9% .135 239)",
            "600": "oklch(53.4% .128 242)",
            "700": "oklch(46.2% .112 243)",
            "800": "oklch(40.1% .092 244)",
            "900": "oklch(34.8% .075 245)",
            "950": "oklch(25.6% .056 246)",
        },
    },
}
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # where somebody goes who came for no other page
AUTHENTICATION_BACKENDS = ["access.backends.CountedBackend"]  # guesses are counted where the password is looked at
AGENTPLATFORM_LOGIN_TRIES = env_int(
    "AGENTPLATFORM_LOGIN_TRIES", 5, minimum=0
)  # of one name from one address; 0 counts nothing
AGENTPLATFORM_LOGIN_WAIT_S = env_int("AGENTPLATFORM_LOGIN_WAIT_S", 900, minimum=1)  # from the first of them on

# --- Files ---
AGENTPLATFORM_MAX_FILE_BYTES = env_int("AGENTPLATFORM_MAX_FILE_BYTES", 67_108_864, minimum=1)  # of one file: 64 MiB
AGENTPLATFORM_MAX_OWNED_FILE_BYTES = env_int(
    "AGENTPLATFORM_MAX_OWNED_FILE_BYTES", 1_073_741_824, minimum=0
)  # of all files of one owner, which lie in the database: 1 GiB
STATIC_URL = "static/"
AGENTPLATFORM_MAX_OWNED_FILES = env_int("AGENTPLATFORM_MAX_OWNED_FILES", 100_000, minimum=0)  # of one owner
AGENTPLATFORM_KEEP_WRITTEN_FILES_DAYS = env_int(
    "AGENTPLATFORM_KEEP_WRITTEN_FILES_DAYS", 0, minimum=0
)  # what executions write, which else stays until somebody deletes it: 0 keeps it

STATIC_ROOT = Path(env_str("AGENTPLATFORM_STATIC_ROOT", str(BASE_DIR / "staticfiles")))
WHITENOISE_USE_FINDERS = IS_DEVELOPMENT  # no collectstatic step before the first page
WHITENOISE_AUTOREFRESH = IS_DEVELOPMENT
MEDIA_ROOT = Path(env_str("AGENTPLATFORM_MEDIA_ROOT", str(BASE_DIR / ".local" / "media")))  # nothing is kept there
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if IS_DEVELOPMENT
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}

# --- Browsers ---
_is_https = env_bool(
    "AGENTPLATFORM_HTTPS", default=not IS_DEVELOPMENT
)  # false only where nothing but localhost connects
SECURE_SSL_REDIRECT = _is_https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes speak plain HTTP from inside the cluster
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = False  # the other names of your domain are not ours to decide
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if env_bool("AGENTPLATFORM_BEHIND_PROXY", default=False):  # without one, a client could forge this header
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 7
_of_this_host = (
    "__Host-" if _is_https else ""
)  # a browser takes these from us only: no other name of the domain sets them
SESSION_COOKIE_NAME = f"{_of_this_host}sessionid"
CSRF_COOKIE_NAME = f"{_of_this_host}csrftoken"
AGENTPLATFORM_MESSAGES_COOKIE_NAME = f"{_of_this_host}messages"
MESSAGE_STORAGE = "agentplatform.messages.Messages"
X_FRAME_OPTIONS = "DENY"

# --- Logs: one line an event, to stderr; whoever runs us stores them ---
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "agentplatform.log.MaskedFormatter",  # an error may quote the key it was asked with
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "filters": {"line_only": {"()": "agentplatform.log.WithoutTraceback"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
    "loggers": {
        "httpx2": {"level": "WARNING"},  # it writes whole addresses, and those may hold a key
        "celery.worker.strategy": {"level": "WARNING"},  # two lines for each message would cost more than the message
        "celery.app.trace": {"level": "WARNING"},
        "django.security.DisallowedHost": {"filters": ["line_only"]},  # twenty lines for each request of a scanner
        "django.security.TooManyFieldsSent": {"filters": ["line_only"]},  # likewise
        "django.security.TooManyFilesSent": {"filters": ["line_only"]},
    },
    "root": {
        "handlers": ["stderr"],
        "level": env_choice("AGENTPLATFORM_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
    },
}
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # subdomains and preload: the owner of the domain decides
