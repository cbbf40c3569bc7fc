"""Pages of Panel, one file each: in a notebook, served by themselves, or exported as one HTML file that needs no network."""
