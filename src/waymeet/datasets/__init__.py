"""Getting data that Waymeet does not come with: found, downloaded, verified and put in place, all or nothing."""
