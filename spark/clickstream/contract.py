"""What docs/contract.md fixes: the rules of an event and the names of the sums."""

TIME_END = 4102444800000  # 2100-01-01T00:00:00Z
LENGTHS = {"day": 86400000, "hour": 3600000}  # of windows, ms
# The least and the greatest length of each field in bytes.
RULES = {"row_key": (0, 64), "user_id": (1, 256), "url": (1, 2048), "country": (0, 256),
         "city": (0, 256), "browser": (0, 256), "os": (0, 256), "device": (0, 256)}
# The same for the optional fields that are text. The others are "props" and "engaged_ms".
EXTRA = {"name": (0, 64), "referrer": (0, 2048), "utm_source": (0, 256), "utm_medium": (0, 256),
         "utm_campaign": (0, 256), "utm_term": (0, 256), "utm_content": (0, 256),
         "browser_version": (0, 64), "os_version": (0, 64), "region": (0, 64), "language": (0, 64)}
PROPS, PROP_KEY, PROP_VALUE = 32, 64, 256  # the most, and bytes
PROPS_OURS = ("bot", "bot_kind")  # do not count to the most
ENGAGED_MAX = 86400000  # ms
OPTIONAL = ("country", "city", "browser", "os", "device")
SUMS = ("clicks", "time_spent_sum", "time_spent_count", "time_on_page_sum", "time_on_page_count",
        "entrances", "exits")


def windows_of(settings):
    """The requested windows, the shortest first."""
    return [name for name in ("hour", "day", "all") if name in settings.get("windows", ["all"])]
