"""Which column of a log is the user, the item or the time: names in use in public data sets."""

from __future__ import annotations

from collections.abc import Sequence

NAMES = {
    "user": [
        "user_id",
        "userid",
        "user",
        "uid",
        "customer_id",
        "customerid",
        "customer",
        "household_id",
        "visitorid",
        "visitor_id",
        "reviewerid",
        "member_id",
        "session_id",
        "sessionid",
        "author_id",
    ],
    "item": [
        "item_id",
        "itemid",
        "item",
        "iid",
        "movie_id",
        "movieid",
        "product_id",
        "productid",
        "parent_asin",
        "asin",
        "stockcode",
        "sku",
        "video_id",
        "track_id",
        "song_id",
        "artist_id",
        "article_id",
        "book_id",
        "business_id",
        "gmap_id",
        "venue_id",
        "location_id",
        "poi_id",
        "poi",
        "game_id",
        "place_id",
        "place",
    ],
    "time": [
        "timestamp",
        "time",
        "ts",
        "datetime",
        "date",
        "event_time",
        "unixreviewtime",
        "time_ms",
        "created_at",
        "createdat",
        "invoicedate",
        "transaction_timestamp",
        "rating_timestamp",
        "utc_time",
        "checkin_time",
        "t_dat",
        "eventdate",
        "date_time",
    ],
}
"""Names of columns by role in lower case, the likelier first."""


def role_columns(names: Sequence[str]) -> dict[str, int]:
    """The place of the column of each role that a name tells; the likeliest name counts."""
    lower = [name.lower().replace(" ", "_") for name in names]
    return {
        role: lower.index(known[0])
        for role, candidates in NAMES.items()
        if (known := [name for name in candidates if name in lower])
    }
