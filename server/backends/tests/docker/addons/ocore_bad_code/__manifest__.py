{'name': 'Bad code', 'version': '1.0', 'depends': ['base'], 'data': [], 'license': 'LGPL-3', 'installable': True}
