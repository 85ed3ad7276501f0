"""The permissions that jobs need, the policies that grant them, and the reason why a call was denied."""
