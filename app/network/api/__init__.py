"""How clients see channels and locations."""

from app.network.api.changes import NetworkMutation
from app.network.api.lists import NetworkQuery
from app.network.api.types import Channel, ChannelLocation, Location, channel_of, location_of

__all__ = ["Channel", "ChannelLocation", "Location", "NetworkMutation", "NetworkQuery", "channel_of", "location_of"]
