"""Every committed change reaches every subscriber, once and in order: relay, hub, mailboxes, streams."""
