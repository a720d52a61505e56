"""What building, checking and releasing needs beside the package."""
