"""The services that hostemr's registration is measured beside."""
