"""Decides nothing: Django's own command, with this folder's settings.

ISSUER=… CLIENT_ID=… CLIENT_SECRET=… PORT=… DJANGO_SECRET_KEY=… DATABASE=site.sqlite3 python manage.py migrate
… python manage.py runserver --noreload 127.0.0.1:PORT
"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
