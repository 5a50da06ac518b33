"""What docs/contract.md fixes: the rules of an event and the names of the sums."""

TIME_END = 4102444800000  # 2100-01-01T00:00:00Z
LENGTHS = {"day": 86400000, "hour": 3600000}  # of windows, ms
# The least and the greatest length of each field in bytes.
RULES = {"row_key": (0, 64), "user_id": (1, 256), "url": (1, 2048), "country": (0, 256),
         "city": (0, 256), "browser": (0, 256), "os": (0, 256), "device": (0, 256)}
OPTIONAL = ("country", "city", "browser", "os", "device")
SUMS = ("clicks", "time_spent_sum", "time_spent_count", "time_on_page_sum", "time_on_page_count",
        "entrances", "exits")


def windows_of(settings):
    """The requested windows, the shortest first."""
    return [name for name in ("hour", "day", "all") if name in settings.get("windows", ["all"])]
